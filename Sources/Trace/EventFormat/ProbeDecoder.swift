import Bytes

/// Turns the raw records of one kprobe or kretprobe event into hits. What the fields mean follows
/// from their names (``ProbeFields``); what the probe is follows later from its address.
package struct ProbeDecoder: BitwiseCopyable {
  private let address: NumberField
  private let isReturn: Bool
  /// The numbers that it has: where they lie, and their place in ``names``. First the `wide` ones, of 64 bits in this
  /// machine's order.
  private var numbers = InlineArray<13, NumberField>(repeating: .absent)
  private var places = InlineArray<13, UInt8>(repeating: 0)
  private var wide = 0
  private var count = 0
  private var guestKeys: KeyFields?
  private var hostKeys: KeyFields?
  /// Where they begin, of those in order; -1: there are none, or each is looked for.
  private var guestPlace = -1
  private var hostPlace = -1
  private var hasScatteredKeys = false

  /// In the order of the numbers of ``ProbeFields``.
  private static let names = [
    "vcpu", "cpu", "vcpu_id", "hcr_el2", "features", "esr_el2", "exit_code", "cflags", "iflags",
    "sflags", "host_ctxt", "mm", "userspace_pid",
  ]
  /// Sizes in bytes that are possible for each of ``names``.
  private static let sizes: [ClosedRange<UInt8>] = [
    8...8, 4...8, 4...8, 8...8, 1...8, 4...8, 4...8, 1...8, 1...8, 1...8, 8...8, 8...8,
    4...8,
  ]

  /// nil when the event is no probe. `complaints` gets a sentence for each known name whose field
  /// cannot be what the name says.
  package init?(_ format: EventFormat, complaints: inout [String]) {
    let label = "\(format.system):\(format.name)"
    if let field = format.field("__probe_func"),
      let number = NumberField(field, isSwapped: format.isBigEndian)
    {
      address = number
      isReturn = true
    } else if let field = format.field("__probe_ip"),
      let number = NumberField(field, isSwapped: format.isBigEndian)
    {
      address = number
      isReturn = false
    } else {
      if format.isProbe {
        complaints.append("\(label) is a probe without a readable address; it is not used")
      }
      return nil
    }
    var found: [(place: UInt8, field: NumberField, isWide: Bool)] = []
    for (index, name) in Self.names.enumerated() {
      guard let field = format.field(name) else { continue }
      guard let number = NumberField(field, isSwapped: format.isBigEndian),
        Self.sizes[index].contains(number.size)
      else {
        complaints.append(
          "field \(name) of \(label) has \(field.size) bytes, which cannot be; it is not used")
        continue
      }
      found.append((UInt8(index), number, number.size == 8 && !number.isSwapped))
    }
    for entry in found.filter(\.isWide) + found.filter({ !$0.isWide }) {
      numbers[count] = entry.field
      places[count] = entry.place
      count += 1
      if entry.isWide { wide += 1 }
    }
    guestKeys = KeyFields(format, prefix: "", complaints: &complaints)
    hostKeys = KeyFields(format, prefix: "host_", complaints: &complaints)
    guestPlace = guestKeys?.place ?? -1
    hostPlace = hostKeys?.place ?? -1
    hasScatteredKeys =
      guestKeys.map { $0.place < 0 } ?? false || hostKeys.map { $0.place < 0 } ?? false
  }

  /// False when the record is shorter than its format.
  @inline(__always)
  package func read(_ raw: RawSpan, into event: inout Event) -> Bool {
    guard let address = address.read(raw) else { return false }
    event.occurrence = .probe
    event.hit.address = address
    event.hit.isReturn = isReturn
    event.hit.isTraced = false
    event.hit.symbolName = nil
    var present: UInt16 = 0
    for index in 0..<wide {
      guard let value = raw.u64(at: Int(numbers[index].offset)) else { continue }
      let place = Int(places[index])
      present |= 1 &<< UInt16(truncatingIfNeeded: place)
      event.hit.fields.numbers[place] = value
    }
    for index in wide..<count {
      guard let value = numbers[index].read(raw) else { continue }
      let place = Int(places[index])
      present |= 1 &<< UInt16(truncatingIfNeeded: place)
      event.hit.fields.numbers[place] = value
    }
    event.hit.fields.present = present
    if guestPlace >= 0, let words = raw.words(at: guestPlace) {
      event.hit.fields.guestKeys = KeySlots(registers: words)
    }
    if hostPlace >= 0, let words = raw.words(at: hostPlace) {
      event.hit.fields.hostKeys = KeySlots(registers: words)
    }
    if hasScatteredKeys { readKeys(raw, into: &event.hit.fields) }
    return true
  }

  @inline(never)
  private func readKeys(_ raw: RawSpan, into fields: inout ProbeFields) {
    if let keys = guestKeys?.read(raw) { fields.guestKeys = keys }
    if let keys = hostKeys?.read(raw) { fields.hostKeys = keys }
  }
}

/// The ten key registers of a probe: `apiakeylo_el1`, `apiakeyhi_el1`, ... `apgakeyhi_el1`.
struct KeyFields: BitwiseCopyable {
  private var registers = InlineArray<10, NumberField>(repeating: .absent)
  /// They lie one behind another, in their order and this machine's, as a probe's arguments do that are named so.
  private var isInOrder = false
  /// Where the first lies, if they do; -1: they do not.
  var place: Int { isInOrder ? Int(registers[0].offset) : -1 }

  /// nil unless all ten are there, each with 8 bytes.
  init?(_ format: EventFormat, prefix: String, complaints: inout [String]) {
    var found = 0
    for (index, key) in ["apia", "apib", "apda", "apdb", "apga"].enumerated() {
      for (half, suffix) in ["lo", "hi"].enumerated() {
        guard let field = format.field("\(prefix)\(key)key\(suffix)_el1") else { continue }
        found += 1
        guard let number = NumberField(field, isSwapped: format.isBigEndian), number.size == 8
        else {
          complaints.append(
            "field \(field.name) of \(format.system):\(format.name) has \(field.size) bytes, and "
              + "a key register has 8; its key set is not used")
          return nil
        }
        registers[index * 2 + half] = number
      }
    }
    guard found > 0 else { return nil }
    guard found == 10 else {
      complaints.append(
        "\(format.system):\(format.name) has \(found) of the ten registers of "
          + "\(prefix.isEmpty ? "the guest" : "the host") key set; the key set is not used")
      return nil
    }
    let first = registers[0]
    isInOrder =
      !first.isSwapped
      && (0..<10).allSatisfy { Int(registers[$0].offset) == Int(first.offset) + 8 * $0 }
  }

  func read(_ raw: RawSpan) -> KeySlots? {
    var values = InlineArray<10, UInt64>(repeating: 0)
    for index in 0..<10 {
      guard let value = registers[index].read(raw) else { return nil }
      values[index] = value
    }
    return KeySlots(registers: values)
  }
}
