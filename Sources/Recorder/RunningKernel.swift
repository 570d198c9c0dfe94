import Bytes
public import KernelImage
public import Probing

/// The kernel that runs, as it describes itself: struct layouts from its BTF, symbols from /proc/kallsyms.
public struct RunningKernel: ProbedKernel {
  private let types: BTFFile
  private let symbols: KernelSymbolTable
  private let events: Set<Substring>
  /// What the function tracer may see; nil without one.
  private let traceable: Set<Substring>?

  public init(_ types: BTFFile, _ symbols: KernelSymbolTable, _ tracefs: Tracefs) {
    self.types = types
    self.symbols = symbols
    let available = (try? SystemFile.text(tracefs.path("available_events"))) ?? ""
    events = Set(
      available.split(separator: "\n").compactMap { $0.split(separator: ":").last })
    traceable = (try? SystemFile.text(tracefs.path("available_filter_functions"))).map {
      Set($0.split(separator: "\n").compactMap { $0.split(separator: " ").first })
    }
  }

  public func memberOffset(_ path: String) throws(KernelImageError) -> UInt64 {
    try types.offset(of: path)
  }

  /// Tracepoints are data, which kallsyms has only with CONFIG_KALLSYMS_ALL: tracefs tells of them.
  public func addresses(of symbol: String) -> [UInt64] {
    let prefix = "__tracepoint_"
    if symbol.hasPrefix(prefix) {
      return events.contains(symbol.dropFirst(prefix.count)) ? [0] : []
    }
    return symbols.addresses(of: symbol)
  }

  /// Nil where several functions begin: which of them a hit was in cannot be told, nor which is preferred.
  public func functionName(at address: UInt64) -> String? {
    let names = symbols.code(at: address)
    return names.count == 1 ? names[0] : nil
  }

  public func sourceFile(ofFunctionAt address: UInt64) -> String? { nil }

  public func firstParameterPointee(ofFunctionAt address: UInt64) -> String? { nil }

  public func isTraceable(functionAt address: UInt64) -> Bool? {
    guard let traceable else { return nil }
    return symbols.code(at: address).contains { traceable.contains($0[...]) }
  }
}
