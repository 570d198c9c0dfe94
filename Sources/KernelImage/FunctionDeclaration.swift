import CElfutils
import Glibc

extension DebugInformation {
  /// Where the function whose symbol is at a link-time address is declared: DW_AT_decl_file and
  /// DW_AT_decl_line of its DW_TAG_subprogram. The line table's first row can lie in a header, where
  /// the compiler hoisted inlined code.
  func declaration(ofFunctionAt address: UInt64) -> SourceLocation? {
    guard let unit = unit(covering: address) else { return nil }
    let function = unit.firstChild { child in
      guard child.tag == DW_TAG_subprogram, let low = child.lowPC, low >= address,
        low - address <= Self.patchableEntry
      else { return nil as DebugEntry? }
      return child
    }
    return function?.withDie { die -> SourceLocation? in
      var line: CInt = 0
      guard let file = unsafe dwarf_decl_file(die), unsafe dwarf_decl_line(die, &line) == 0 else {
        return nil
      }
      return unsafe SourceLocation(
        file: SourcePath.relative(
          String(cString: file), to: unit.withDie { unsafe directory($0) }), line: Int(line))
    }
  }

  /// The symbol is before the two NOPs of -fpatchable-function-entry, DW_AT_low_pc behind them.
  private static let patchableEntry: UInt64 = 8

  /// DW_AT_comp_dir of a unit, "" if it has none.
  func directory(_ unit: UnsafeMutablePointer<Dwarf_Die>) -> String {
    var attribute = unsafe Dwarf_Attribute()
    guard unsafe dwarf_attr(unit, UInt32(DW_AT_comp_dir), &attribute) != nil,
      let text = unsafe dwarf_formstring(&attribute)
    else { return "" }
    return unsafe String(cString: text)
  }
}

extension DebugEntry {
  /// DW_AT_low_pc.
  fileprivate var lowPC: UInt64? {
    withDie { die in
      var address: Dwarf_Addr = 0
      return unsafe dwarf_lowpc(die, &address) == 0 ? address : nil
    }
  }
}
