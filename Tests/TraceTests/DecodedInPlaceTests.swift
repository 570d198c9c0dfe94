import Testing
import Trace

/// Events are decoded one after another into the same place: each shows its own fields alone.
struct DecodedInPlaceTests {
  private static let register = SystemRegister(op0: 3, op1: 0, crn: 2, crm: 1, op2: 4)
  private static let payloads: [Event.Payload] = [
    .entry(pc: 1), .exit(ret: 2, ec: 3, pc: 4), .handleSysReg(esr: 5),
    .sysAccess(register, isWrite: true, pc: 6), .userspaceExit(reason: 7, errno: -8),
    .setupDebug(vcpu: 9), .vcpuNumber(10), .nestedEret(vcpu: 11, spsr: 12, hcr: 13),
    .nestedException(vcpu: 14), .schedSwitch(prev: 15, prevState: -16, next: 17),
    .migrateTask(tid: 18, from: 19, to: 20), .fork(child: 21, childPid: 22), .lost(count: 23),
    .probe(ProbeHit(address: 24, isReturn: true, fields: ProbeFields())),
  ]

  @Test(arguments: payloads)
  func whatHappenedIsGivenBack(payload: Event.Payload) {
    var event = Event(time: 1, cpu: 2, pid: 3, tid: 4, payload: payload)
    #expect("\(event.payload)" == "\(payload)")
    for other in Self.payloads {
      event.payload = other
      #expect("\(event.payload)" == "\(other)")
    }
  }

  @Test func absentFieldsAreNilWhateverWasThere() {
    var fields = ProbeFields()
    fields.vcpu = 1
    fields.cpu = -2
    fields.guestKeys = KeySlots(registers: InlineArray(repeating: 3))
    #expect(fields.vcpu == 1 && fields.cpu == -2 && fields.guestKeys?.isZero == false)
    #expect(fields.vcpuID == nil && fields.userspacePID == nil && fields.hostKeys == nil)
    fields.vcpu = nil
    fields.cpu = nil
    fields.guestKeys = nil
    #expect(fields.vcpu == nil && fields.cpu == nil && fields.guestKeys == nil)
  }

  /// A probe with these fields, one behind another behind its address.
  private static func format(_ fields: [(String, Int)], isBigEndian: Bool) -> EventFormat {
    var format = EventFormat(system: "probes", name: "p", id: 1, isBigEndian: isBigEndian)
    var offset = 0
    for (name, size) in [("__probe_ip", 8)] + fields {
      format.fields.append(
        EventFormat.Field(
          name: name, offset: offset, size: size, isSigned: size == 4, isScalar: true))
      offset += size
    }
    return format
  }

  private static let keys = ["apia", "apib", "apda", "apdb", "apga"]
    .flatMap { ["\($0)keylo_el1", "\($0)keyhi_el1"] }

  @Test(arguments: [false, true], [false, true])
  func eachShowsItsOwnFieldsAlone(isBigEndian: Bool, isScattered: Bool) throws {
    let order = isScattered ? Self.keys.reversed() : Self.keys
    let full = Self.format(
      [("features", 1), ("vcpu", 8), ("cpu", 4), ("hcr_el2", 8)] + order.map { ($0, 8) },
      isBigEndian: isBigEndian)
    var bytes: [UInt8] = []
    func add(_ value: UInt64, _ size: Int) {
      let little = (0..<size).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
      bytes += isBigEndian ? little.reversed() : little
    }
    add(0x1000, 8)
    add(3, 1)
    add(0x2000, 8)
    add(UInt64(truncatingIfNeeded: -2), 4)
    add(0x3000, 8)
    for name in order { add(UInt64(Self.keys.firstIndex(of: name) ?? 99) + 1, 8) }

    var complaints: [String] = []
    let decoder = try #require(ProbeDecoder(full, complaints: &complaints))
    var event = Event()
    #expect(unsafe decoder.read(bytes.span.bytes, into: &event))
    let fields = event.hit.fields
    #expect(event.hit.address == 0x1000 && fields.features == 3 && fields.vcpu == 0x2000)
    #expect(fields.cpu == -2 && fields.hcr == 0x3000 && fields.hostKeys == nil)
    var expected = InlineArray<10, UInt64>(repeating: 0)
    for i in 0..<10 { expected[i] = UInt64(i) + 1 }
    #expect(fields.guestKeys == KeySlots(registers: expected))

    // The same bytes as those of a probe that fetches less; and cut short.
    let small = Self.format([("features", 1)], isBigEndian: isBigEndian)
    let other = try #require(ProbeDecoder(small, complaints: &complaints))
    #expect(unsafe other.read(bytes.span.bytes, into: &event))
    #expect(event.hit.fields.features == 3 && event.hit.fields.vcpu == nil)
    #expect(event.hit.fields.cpu == nil && event.hit.fields.guestKeys == nil)
    let short = Array(bytes.dropLast())
    #expect(unsafe decoder.read(short.span.bytes, into: &event))
    #expect(event.hit.fields.vcpu == 0x2000 && event.hit.fields.guestKeys == nil)
    let none = Array(bytes.prefix(7))
    #expect(unsafe !decoder.read(none.span.bytes, into: &event))
    #expect(complaints.isEmpty)
  }
}
