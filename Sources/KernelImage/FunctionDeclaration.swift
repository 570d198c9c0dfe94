import CElfutils
import Glibc

extension DebugInformation {
  /// Where the function whose symbol is at a link-time address is declared: DW_AT_decl_file and
  /// DW_AT_decl_line of its DW_TAG_subprogram. The line table's first row can lie in a header, where
  /// the compiler hoisted inlined code.
  ///
  /// GCC gives a function whose body it merged with an equal one (-fipa-icf) a symbol and a
  /// DW_TAG_subprogram without DW_AT_low_pc: kvm_handle_ptrauth of 5.10 and 6.1. That one is found by
  /// the symbol's name.
  /// - Parameter symbol: what the symbol table has at `address`, if it is the start of a function.
  func declaration(
    ofFunctionAt address: UInt64, symbol: KernelFunctionSymbol?
  ) -> SourceLocation? {
    guard let unit = unit(covering: address), mayReadLines(of: unit),
      let entry = subprogram(at: address, symbol: symbol, in: unit)
    else { return nil }
    return entry.withDie { die -> SourceLocation? in
      var line: CInt = 0
      guard unsafe dwarf_decl_line(die, &line) == 0 else { return nil }
      // Clang's DWARF 5 counts files from 0, the unit's own; elfutils 0.188 takes 0 for none.
      let declared = unsafe dwarf_decl_file(die).map { unsafe String(cString: $0) }
      guard let file = declared ?? unit.name else { return nil }
      return SourceLocation(
        file: SourcePath.relative(file, to: unit.withDie { unsafe directory($0) }),
        line: Int(line))
    }
  }

  /// The DW_TAG_subprogram of the function whose symbol is at a link-time address.
  func subprogram(
    at address: UInt64, symbol: KernelFunctionSymbol?, in unit: DebugEntry
  ) -> DebugEntry? {
    // What begins behind the end of a short function is the next one.
    let reach = symbol.map { min(Self.patchableEntry, max($0.size, 1) - 1) } ?? Self.patchableEntry
    let function = unit.firstChild { child -> DebugEntry? in
      guard child.tag == DW_TAG_subprogram, let low = child.lowPC, low >= address,
        low - address <= reach
      else { return nil }
      return child
    }
    return function ?? symbol.flatMap { mergedFunction($0.name, in: unit) }
  }

  /// A function of a unit that DWARF defines without code of its own.
  private func mergedFunction(_ name: String, in unit: DebugEntry) -> DebugEntry? {
    let wanted = Array(name.utf8CString)
    return unit.firstChild { child in
      child.tag == DW_TAG_subprogram && child.isNamed(wanted) && !child.isDeclaration
        && child.lowPC == nil ? child : nil
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
    return unsafe DebugEntry.text(text)
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
