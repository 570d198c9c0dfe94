import Bytes

/// The abbreviations that libdw has to read for the units of a file (DWARF 5, 7.5.3).
///
/// It keeps those of each unit for itself, although units can share one table, and looks through all attributes of an
/// entry's abbreviation whenever it is asked for one, although some take no bytes of the entry. So a file of one
/// megabyte can ask for gigabytes and hours.
struct AbbreviationCount {
  /// Of all units, each with its whole table.
  private var total = 0
  /// The most attributes of one abbreviation that take no bytes of an entry.
  private var mostImplied = 0
  /// How many there may be.
  private var limit = Self.leastLimit
  /// Units so far.
  private var units = 0
  /// Tables that were read, by their place, and how many abbreviations each has.
  private var known: [Int: Int] = [:]

  /// Of a small file. The largest kernels have some million: 3,000 to 30,000 units of some hundred.
  private static let leastLimit = 4 << 20
  /// libdw takes a kilobyte for each unit that is looked at. The largest kernels have some 40,000.
  private static let unitLimit = 1 << 17
  /// Compilers write up to a dozen.
  private static let impliedLimit = 64

  /// Counts in the sections as libdw has unpacked them.
  init(_ elf: ElfImage) {
    // Of several libdw takes the first.
    func section(_ name: String) -> ElfImage.Section? {
      elf.sections.first { $0.name == ".\(name)" || $0.name == ".z\(name)" }
    }
    guard let tables = section("debug_abbrev") else { return }
    limit = max(Self.leastLimit, elf.unpackedSize(of: tables))
    for section in [section("debug_info"), section("debug_types")].compactMap(\.self) {
      elf.withUnpacked(of: section) { units in
        elf.withUnpacked(of: tables) { tables in
          unsafe count(RawSpan(_unsafeBytes: units), RawSpan(_unsafeBytes: tables))
        }
      }
    }
  }

  func require(_ path: String) throws(KernelImageError) {
    guard units <= Self.unitLimit else {
      throw KernelImageError(
        .damagedTypes, path,
        "has DWARF of more than \(Self.unitLimit) compile units, which no kernel has; fetch or build the vmlinux again"
      )
    }
    guard total <= limit, mostImplied <= Self.impliedLimit else {
      throw KernelImageError(
        .damagedTypes, path,
        "has DWARF that no compiler writes: more than \(limit) abbreviations, or one with more than "
          + "\(Self.impliedLimit) attributes that take no space; fetch or build the vmlinux again")
    }
  }

  /// Adds the table of each unit, up to the first that is none.
  private mutating func count(_ units: RawSpan, _ tables: RawSpan) {
    var place = 0
    while total <= limit, self.units <= Self.unitLimit, let unit = Self.unit(at: place, units) {
      self.units += 1
      if known[unit.table] == nil { known[unit.table] = countTable(at: unit.table, tables) }
      total += known[unit.table] ?? 0
      place = unit.end
    }
  }

  private static func unit(at place: Int, _ units: RawSpan) -> (table: Int, end: Int)? {
    guard let short = units.u32(at: place) else { return nil }
    let isLong = short == .max
    let head = place + (isLong ? 12 : 4)
    guard let length = isLong ? units.u64(at: place + 4).flatMap(Int.init(exactly:)) : Int(short),
      length >= 7, length <= units.byteCount - head, let version = units.u16(at: head)
    else { return nil }
    // From version 5 on a type and the size of addresses stand in front.
    let field = head + (version >= 5 ? 4 : 2)
    let table =
      isLong ? units.u64(at: field).flatMap(Int.init(exactly:)) : units.u32(at: field).map(Int.init)
    return table.map { ($0, head + length) }
  }

  /// How many abbreviations a table has, up to more than are allowed.
  private mutating func countTable(at start: Int, _ tables: RawSpan) -> Int {
    var place = start
    var number = 0
    while total + number <= limit, let code = tables.uleb(&place), code != 0,
      tables.uleb(&place) != nil
    {
      // DW_CHILDREN_yes or no.
      place += 1
      number += 1
      var implied = 0
      while let name = tables.uleb(&place), let form = tables.uleb(&place), name != 0 || form != 0 {
        // DW_FORM_flag_present, and DW_FORM_implicit_const, which has its value here.
        if form == 0x19 || form == 0x21 { implied += 1 }
        if form == 0x21, tables.uleb(&place) == nil { break }
      }
      mostImplied = max(mostImplied, implied)
    }
    return number
  }
}

extension RawSpan {
  /// A number of 7 bits a byte, lowest first, and moves behind it; what is above 64 bits is lost. Nil at the end.
  func uleb(_ place: inout Int) -> UInt64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while let byte = u8(at: place) {
      place += 1
      if shift < 64 { value |= UInt64(byte & 0x7f) << shift }
      if byte & 0x80 == 0 { return value }
      shift += 7
    }
    return nil
  }
}
