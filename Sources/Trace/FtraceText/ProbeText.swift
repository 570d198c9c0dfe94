import Bytes

/// The fields of a kprobe or kretprobe event, in the order in which its lines have them.
///
///     (kvm_arch_vcpu_load+0x0/0x254) cpu=0 vcpu=0xffff000001810000 ...            the kernel
///     (ffff800008038760) cpu=0 vcpu=0xffff000001810000 ...                       libtraceevent
///     __probe_ip=ffff800008038760 cpu=0 vcpu=0xffff000001810000 ...               raw fields
struct ProbeTextLayout {
  /// Names of the fields.
  let fields: [String]
  /// The kernel's text names the function in place of its address.
  let namesItsFunction: Bool
  let isReturn: Bool
  /// The names with their equals signs.
  private let names: [FieldMark]
  /// What each is, by ``ProbeFields/init(_:)``'s order; -1: nothing that is known.
  private let slots: [Int8]

  /// From the first line of an event; nil when it is no probe's.
  init?(_ line: RawSpan, from values: Int) {
    guard let place = ProbePlace(line, from: values, isKernelText: true) else { return nil }
    var position = place.end
    var fields: [String] = []
    var names: [FieldMark] = []
    var slots: [Int8] = []
    while let (start, equals) = line.nextField(&position) {
      fields.append(line.string(start, equals))
      names.append(
        FieldMark(line.slice(at: start, count: equals - start + 1)?.copied() ?? []))
      slots.append(Int8(ProbeValues.slot(line, start, equals) ?? -1))
      line.skipValue(&position)
    }
    self.fields = fields
    self.names = names
    self.slots = slots
    namesItsFunction = place.symbolEnd > place.symbolStart
    isReturn = place.isReturn
  }

  /// Decodes the values of another line of the event, which start at `start`; false where one of them was fetched
  /// too narrow, and is left out.
  func read(_ line: RawSpan, from start: Int, into fields: inout ProbeFields) -> Bool {
    var values = ProbeValues()
    var position = start
    var expected = 0
    while true {
      line.skipBlanks(&position)
      guard position < line.byteCount else { break }
      var slot = -1
      if expected < names.count, let equals = names[expected].end(in: line, at: position) {
        slot = Int(slots[expected])
        position = equals
      } else if let (first, equals) = line.nextField(&position) {
        slot = ProbeValues.slot(line, first, equals) ?? -1
      } else {
        break
      }
      expected &+= 1
      if slot >= 0 {
        var digits = position
        if let number = line.number(&digits), digits == line.byteCount || line.isBlank(digits) {
          values.set(slot, number, in: &fields)
          position = digits
          continue
        }
      }
      line.skipValue(&position)
    }
    return values.finish(&fields)
  }
}

/// "apiakeylo_el1=": up to 24 characters, compared eight at a time.
private struct FieldMark: BitwiseCopyable {
  private var words = InlineArray<3, UInt64>(repeating: 0)
  private var masks = InlineArray<3, UInt64>(repeating: 0)
  /// 0: longer ones are looked for by their equals sign alone.
  private var count = 0

  init(_ bytes: [UInt8]) {
    guard bytes.count <= 24 else { return }
    count = bytes.count
    for index in 0..<3 {
      (words[index], masks[index]) = TextPattern.word(bytes.dropFirst(8 * index))
    }
  }

  /// Position behind it, if it is what stands at `position`; nil also near the line's end.
  @inline(__always)
  func end(in line: RawSpan, at position: Int) -> Int? {
    guard count > 0, let first = line.u64(at: position), let second = line.u64(at: position &+ 8),
      let third = line.u64(at: position &+ 16)
    else { return nil }
    let other =
      (first ^ words[0]) & masks[0] | (second ^ words[1]) & masks[1]
      | (third ^ words[2]) & masks[2]
    return other == 0 ? position &+ count : nil
  }
}

/// Which of the known fields of one hit a line has had.
struct ProbeValues {
  /// Bit n: field n of ``names``.
  private var present: UInt64 = 0

  /// Thirteen fields, the guest's ten registers, the host's ten.
  private static let names: [TextPattern] = {
    let single = [
      "vcpu", "cpu", "vcpu_id", "hcr_el2", "features", "esr_el2", "exit_code", "cflags", "iflags",
      "sflags", "host_ctxt", "mm", "userspace_pid",
    ]
    let keys = ["apia", "apib", "apda", "apdb", "apga"].flatMap {
      ["\($0)keylo_el1", "\($0)keyhi_el1"]
    }
    return (single + keys + keys.map { "host_" + $0 }).map { TextPattern($0) }
  }()

  /// What a field is, by its name between two positions.
  static func slot(_ line: RawSpan, _ start: Int, _ end: Int) -> Int? {
    for (slot, name) in names.enumerated()
    where name.bytes.count == end - start && line.starts(with: name, at: start) { return slot }
    return nil
  }

  private static let guest = 13..<23
  private static let host = 23..<33

  @inline(__always)
  mutating func set(_ slot: Int, _ value: UInt64, in fields: inout ProbeFields) {
    switch slot {
    case 0..<Self.guest.lowerBound: fields.numbers[slot] = value
    case Self.guest: fields.guest.registers[slot &- Self.guest.lowerBound] = value
    case Self.host: fields.host.registers[slot &- Self.host.lowerBound] = value
    default: return
    }
    present |= 1 << UInt64(slot)
  }

  /// The kernel's pointers, and HCR_EL2: KVM sets TLOR (bit 35) in every vCPU's (HCR_GUEST_FLAGS). Whoever fetches
  /// 32 bits of them (x32) loses what tells them apart, and API and APK.
  private static let wide: InlineArray<4, Int> = [0, 3, 10, 11]

  /// The line is at its end. Of key sets that are not whole nothing is there, nor of numbers that are too narrow;
  /// false: there are such.
  @inline(__always)
  func finish(_ fields: inout ProbeFields) -> Bool {
    func has(_ slots: Range<Int>) -> Bool {
      let mask = (UInt64(1) << UInt64(slots.count) &- 1) << UInt64(slots.lowerBound)
      return present & mask == mask
    }
    fields.present =
      UInt16(truncatingIfNeeded: present & 0x1fff)
      | (has(Self.guest) ? ProbeFields.guestBit : 0) | (has(Self.host) ? ProbeFields.hostBit : 0)
    var areWhole = true
    for index in Self.wide.indices {
      let slot = Self.wide[index]
      guard fields.present >> UInt16(slot) & 1 != 0 else { continue }
      let value = Int64(bitPattern: fields.numbers[slot])
      guard value != 0, value >= Int64(Int32.min), value <= Int64(UInt32.max) else { continue }
      fields.present &= ~(1 << UInt16(slot))
      areWhole = false
    }
    return areWhole
  }
}

extension RawSpan {
  @inline(__always)
  func isBlank(_ position: Int) -> Bool {
    u8(at: position) == Character8.space || u8(at: position) == Character8.tab
  }

  /// Where the next "name=" starts, and its equals sign; words without one are passed over.
  /// Afterwards `position` is behind the equals sign.
  func nextField(_ position: inout Int) -> (start: Int, equals: Int)? {
    while true {
      skipBlanks(&position)
      let start = position
      while let byte = u8(at: position), Character8.isWord(byte) { position &+= 1 }
      if position > start, u8(at: position) == Character8.equals {
        position &+= 1
        return (start, position &- 1)
      }
      position = wordEnd(from: position)
      if position >= byteCount { return nil }
    }
  }

  /// A value ends with a blank; strings and arrays have blanks inside.
  func skipValue(_ position: inout Int) {
    switch u8(at: position) {
    case Character8.quote: skip(past: Character8.quote, &position)
    case Character8.openBrace: skip(past: Character8.closeBrace, &position)
    default: position = wordEnd(from: position)
    }
  }

  private func skip(past mark: UInt8, _ position: inout Int) {
    position &+= 1
    while let byte = u8(at: position) {
      position &+= 1
      if byte == mark, position >= byteCount || isBlank(position) { return }
    }
  }
}
