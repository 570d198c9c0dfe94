/// One unit of DWARF 4, as no compiler would write it.
struct DWARFWriter {
  /// Abbreviations that ``info`` may use: 1 a unit with a range, 2 a struct, 3 a member, 4 one without a name, 5 one
  /// whose name lies in .debug_str, 6 a unit with a list of ranges and no entries.
  static let abbreviations: [UInt8] =
    abbreviation(1, tag: 0x11, hasChildren: true, [0x11, 0x01, 0x12, 0x07])
    + abbreviation(2, tag: 0x13, hasChildren: true, [0x03, 0x08, 0x0b, 0x0b])
    + abbreviation(3, tag: 0x0d, [0x03, 0x08, 0x49, 0x13, 0x38, 0x0b])
    + abbreviation(4, tag: 0x0d, [0x49, 0x13, 0x38, 0x0b])
    + abbreviation(5, tag: 0x0d, [0x03, 0x0e, 0x49, 0x13, 0x38, 0x0b])
    + abbreviation(6, tag: 0x11, [0x11, 0x01, 0x55, 0x17])

  static func abbreviation(
    _ code: UInt8, tag: UInt8, hasChildren: Bool = false, _ attributes: [UInt8]
  ) -> [UInt8] {
    [code, tag, hasChildren ? 1 : 0] + attributes + [0, 0]
  }

  /// A unit around its entries.
  static func unit(_ entries: [UInt8]) -> [UInt8] {
    number(UInt32(entries.count + 7)) + number(UInt16(4)) + number(UInt32(0)) + [8] + entries
  }

  private var entries: [UInt8] = [1] + number(UInt64(0x10000)) + number(UInt64(256))
  /// Where structs begin.
  private var places: [String: UInt32] = [:]

  /// A struct with these members; the type of each is a struct that was written before, or itself.
  mutating func add(_ name: String, _ members: [(name: String?, type: String)]) {
    places[name] = UInt32(entries.count + 11)
    entries += [2] + Array(name.utf8) + [0, 64]
    for member in members {
      entries += member.name.map { [3] + Array($0.utf8) + [0] } ?? [4]
      entries += number(places[member.type] ?? 0) + [0]
    }
    entries.append(0)
  }

  /// A struct with so many members that have the first name of .debug_str.
  mutating func add(_ name: String, membersOfOneName count: Int) {
    places[name] = UInt32(entries.count + 11)
    entries += [2] + Array(name.utf8) + [0, 64]
    let member = [5] + number(UInt32(0)) + number(places[name] ?? 0) + [0]
    entries += Array(repeatElement(member, count: count).joined()) + [0]
  }

  /// .debug_info.
  var info: [UInt8] { Self.unit(entries + [0]) }
}
