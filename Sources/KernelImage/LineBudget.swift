import CElfutils
import Glibc

extension DebugInformation {
  /// Whether the source lines and files of a unit may be read: they do not take too much, and no name is longer than
  /// a path.
  func mayReadLines(of unit: DebugEntry) -> Bool {
    guard let place = unit.unsigned(DW_AT_stmt_list).flatMap(Int.init(exactly:)) else {
      return false
    }
    if let known = readableLines[place] { return known }
    let program = lineProgram(
      at: place, in: unit.withDie { unsafe directory($0) }.utf8.count)
    let isReadable = program.map { $0.cost <= lineCostLeft } ?? false
    if isReadable { lineCostLeft -= program?.cost ?? 0 }
    readableLines[place] = isReadable
    return isReadable
  }

  private func lineProgram(at place: Int, in folder: Int) -> LineProgram? {
    func section(_ name: String) -> ElfImage.Section? {
      elf.sections.first { ($0.name == ".\(name)" || $0.name == ".z\(name)") && $0.hasBytes }
    }
    @safe func with<Result>(_ name: String, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
      let read = section(name).flatMap { elf.withUnpacked(of: $0, body) }
      return unsafe read ?? body(UnsafeRawBufferPointer(start: nil, count: 0))
    }
    return with("debug_line") { lines in
      with("debug_str") { texts in
        with("debug_line_str") { names in
          unsafe LineProgram(
            RawSpan(_unsafeBytes: lines), at: place, in: folder,
            (RawSpan(_unsafeBytes: texts), RawSpan(_unsafeBytes: names)))
        }
      }
    }
  }
}
