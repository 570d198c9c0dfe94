import Bytes

/// The head of a unit's line number program (DWARF 5, 6.2.4), read for what it costs: libdw keeps a row of some 100
/// bytes for each byte of a program that adds one, and for each file its folder's name and its own.
package struct LineProgram {
  /// Bytes that libdw may need for it.
  package private(set) var cost = 0

  /// For all units that are asked. A program of the kernel has some 10 to 100 KB, those of the ten or twenty units around
  /// the key switch a few MiB of cost each; one of a file that lies comes to gigabytes.
  package static let limit = 192 << 20

  /// PATH_MAX.
  private static let nameLimit = 4096
  private static let rowCost = 104
  private static let fileCost = 64
  /// Bytes of the shortest instruction that names another file (DW_LNE_define_file).
  private static let definitionSize = 6
  /// Of the program's head, with its tables of files: compilers write some thousand bytes.
  private static let entryLimit = 1 << 20

  /// The longest names so far.
  private var (folder, file) = (0, 0)
  private var files = 0

  /// Nil where there is none, or it has a name that no file has.
  /// - Parameters:
  ///   - lines: .debug_line.
  ///   - strings: .debug_str and .debug_line_str, which names may be in.
  ///   - place: DW_AT_stmt_list.
  ///   - folder: bytes of the unit's DW_AT_comp_dir.
  package init?(
    _ lines: RawSpan, at place: Int, in folder: Int = 0, _ strings: (RawSpan, RawSpan)
  ) {
    self.folder = folder
    guard let short = lines.u32(at: place) else { return nil }
    let isLong = short == .max
    var cursor = place + (isLong ? 12 : 4)
    guard let length = isLong ? lines.u64(at: place + 4).flatMap(Int.init(exactly:)) : Int(short),
      length <= lines.byteCount - cursor, let version = lines.u16(at: cursor)
    else { return nil }
    let end = cursor + length
    // From version 5 on the sizes of addresses and segments.
    cursor += version >= 5 ? 4 : 2
    // header_length, the size of an instruction, from version 4 on how many at once, is_stmt, line_base, line_range.
    cursor += (isLong ? 8 : 4) + (version >= 4 ? 5 : 4)
    guard let opcodes = lines.u8(at: cursor), opcodes > 0 else { return nil }
    cursor += Int(opcodes)
    let isRead =
      version >= 5
      ? readTables(lines, &cursor, end, isLong, strings) : readLists(lines, &cursor, end)
    guard isRead, cursor <= end, folder < Self.nameLimit else { return nil }
    let perByte = max(Self.rowCost, (self.folder + Self.fileCost) / Self.definitionSize)
    cost = (end - cursor) * perByte + files * (self.folder + file + Self.fileCost)
  }

  /// Up to version 4: texts that end with NUL, and a NUL behind the last.
  private mutating func readLists(_ lines: RawSpan, _ cursor: inout Int, _ end: Int) -> Bool {
    while let length = Self.length(lines, cursor, end) {
      cursor += length + 1
      folder = max(folder, length)
      if length == 0 { break }
    }
    while let length = Self.length(lines, cursor, end) {
      cursor += length + 1
      if length == 0 { return true }
      file = max(file, length)
      files += 1
      // Folder, time and size.
      for _ in 0..<3 where lines.uleb(&cursor) == nil { return false }
    }
    return false
  }

  /// From version 5 on: how an entry looks, how many there are, and the entries; of folders, then of files.
  private mutating func readTables(
    _ lines: RawSpan, _ cursor: inout Int, _ end: Int, _ isLong: Bool, _ strings: (RawSpan, RawSpan)
  ) -> Bool {
    for isFolders in [true, false] {
      guard let fields = lines.u8(at: cursor) else { return false }
      cursor += 1
      var forms: [UInt64] = []
      for _ in 0..<fields {
        guard lines.uleb(&cursor) != nil, let form = lines.uleb(&cursor) else { return false }
        forms.append(form)
      }
      guard let count = lines.uleb(&cursor), count <= Self.entryLimit, !forms.isEmpty || count == 0
      else { return false }
      var longest = 0
      for _ in 0..<count {
        for form in forms {
          guard cursor < end, let name = Self.skip(form, lines, &cursor, end, isLong, strings)
          else {
            return false
          }
          longest = max(longest, name)
        }
        guard Int(count) * longest < Self.limit else { return false }
      }
      if isFolders { folder = max(folder, longest) } else { (file, files) = (longest, Int(count)) }
    }
    return true
  }

  /// Moves behind a field; bytes of the name that it is, or 0. Nil: it cannot be told.
  private static func skip(
    _ form: UInt64, _ lines: RawSpan, _ cursor: inout Int, _ end: Int, _ isLong: Bool,
    _ strings: (RawSpan, RawSpan)
  ) -> Int? {
    switch form {
    case 0x08:  // DW_FORM_string
      guard let length = length(lines, cursor, end) else { return nil }
      cursor += length + 1
      return length
    case 0x0e, 0x1f:  // DW_FORM_strp, DW_FORM_line_strp
      let offset =
        isLong
        ? lines.u64(at: cursor).flatMap(Int.init(exactly:)) : lines.u32(at: cursor).map(Int.init)
      cursor += isLong ? 8 : 4
      guard let offset else { return nil }
      return form == 0x0e
        ? length(strings.0, offset, strings.0.byteCount)
        : length(strings.1, offset, strings.1.byteCount)
    case 0x0b: cursor += 1  // DW_FORM_data1 to data16
    case 0x05: cursor += 2
    case 0x06: cursor += 4
    case 0x07: cursor += 8
    case 0x1e: cursor += 16
    case 0x0f: return lines.uleb(&cursor).map { _ in 0 }  // DW_FORM_udata
    default: return nil
    }
    return 0
  }

  /// Of a text that ends with NUL; nil: it does not, or is longer than any name.
  private static func length(_ bytes: RawSpan, _ start: Int, _ end: Int) -> Int? {
    var place = start
    while place < end, place - start <= nameLimit, let byte = bytes.u8(at: place) {
      if byte == 0 { return place - start }
      place += 1
    }
    return nil
  }
}
