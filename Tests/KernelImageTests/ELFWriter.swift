/// An ELF file for arm64 with any sections, as no linker would write them.
struct ELFWriter {
  struct Section {
    var name: String
    var type: UInt32 = 1
    var flags: UInt64 = 0
    var address: UInt64 = 0
    var bytes: [UInt8] = []
    /// Number of the section whose bytes these are too.
    var sharesBytesOf: Int?
    var link: UInt32 = 0
    /// How many bytes it says it has.
    var claimedSize: UInt64?
  }

  /// The first is number 1.
  var sections: [Section] = []

  /// With .text of so many nops at 0x10000.
  init(nops: Int = 64) {
    sections = [
      Section(name: ".text", flags: 6, address: 0x10000, bytes: number(UInt32(0xd503_201f), nops))
    ]
  }

  mutating func add(_ name: String, _ bytes: [UInt8], flags: UInt64 = 0) {
    sections.append(Section(name: name, flags: flags, bytes: bytes))
  }

  /// Functions: name, address, size.
  mutating func addSymbols(_ functions: [(String, UInt64, UInt64)]) {
    var names: [UInt8] = [0]
    var table = [UInt8](repeating: 0, count: 24)
    for (name, address, size) in functions {
      table +=
        number(UInt32(names.count)) + [0x12, 0] + number(UInt16(1)) + number(address) + number(size)
      names += Array(name.utf8) + [0]
    }
    sections.append(Section(name: ".strtab", type: 3, bytes: names))
    sections.append(
      Section(name: ".symtab", type: 2, bytes: table, link: UInt32(sections.count)))
  }

  var bytes: [UInt8] {
    var names: [UInt8] = [0]
    var known: [String: UInt32] = [:]
    func place(_ name: String) -> UInt32 {
      if let place = known[name] { return place }
      known[name] = UInt32(names.count)
      names += Array(name.utf8) + [0]
      return UInt32(names.count - name.utf8.count - 1)
    }
    var all = sections + [Section(name: ".shstrtab", type: 3)]
    for section in all { _ = place(section.name) }
    all[all.count - 1].bytes = names
    var contents: [UInt8] = []
    var headers = [UInt8](repeating: 0, count: 64)
    var places: [(offset: UInt64, size: UInt64)] = []
    for section in all {
      let extent =
        section.sharesBytesOf.map { places[$0 - 1] }
        ?? (UInt64(64 + contents.count), UInt64(section.bytes.count))
      places.append(extent)
      contents += section.bytes + [UInt8](repeating: 0, count: (8 - section.bytes.count % 8) % 8)
      headers += number(place(section.name)) + number(section.type) + number(section.flags)
      headers +=
        number(section.address) + number(extent.0) + number(section.claimedSize ?? extent.1)
      headers += number(section.link) + number(UInt32(0)) + number(UInt64(8))
      headers += number(UInt64(section.type == 2 ? 24 : 0))
    }
    var header: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0] + [UInt8](repeating: 0, count: 8)
    header += number(UInt16(2)) + number(UInt16(183)) + number(UInt32(1)) + number(UInt64(0), 2)
    header += number(UInt64(64 + contents.count)) + number(UInt32(0)) + number(UInt16(64))
    header += number(UInt16(56)) + number(UInt16(0)) + number(UInt16(64))
    header += number(UInt16(all.count + 1)) + number(UInt16(all.count))
    return header + contents + headers
  }
}

/// A number `count` times, lowest byte first.
func number<Number: FixedWidthInteger>(_ value: Number, _ count: Int = 1) -> [UInt8] {
  let bytes = (0..<Number.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
  return Array(repeatElement(bytes, count: count).joined())
}
