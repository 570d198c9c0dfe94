/// One hit of a kprobe or kretprobe, with the fields it fetched.
public struct ProbeHit: Sendable, BitwiseCopyable {
  /// Run-time address of the probed instruction: `__probe_ip`, or `__probe_func` of a kretprobe.
  public var address: UInt64
  /// A kretprobe: the function named by ``address`` is returning.
  public var isReturn: Bool
  /// Text only, where the kernel printed a name in place of the address: the symbol, followed by
  /// "+0x..." unless the hit is at its first instruction. ``address`` is then 0 if it is not printed
  /// too.
  public var symbolName: SymbolName?
  public var fields: ProbeFields
  /// No probe: the function tracer recorded the entry of a function. ``address`` is that of the traced
  /// instruction, a few bytes behind the function's first, and there are no fields.
  public var isTraced = false

  /// ``symbolName`` in words.
  public var symbol: String? {
    get { symbolName?.text }
    set { symbolName = newValue.map { SymbolName($0) } }
  }

  public init(address: UInt64, isReturn: Bool, fields: ProbeFields) {
    self.address = address
    self.isReturn = isReturn
    self.fields = fields
  }
}

extension ProbeHit {
  /// See ``Event/take(_:)``.
  @inline(__always)
  mutating func take(_ other: borrowing ProbeHit) {
    address = other.address
    isReturn = other.isReturn
    isTraced = other.isTraced
    symbolName = other.symbolName
    fields.take(other.fields)
  }

  /// A record of the function tracer.
  init(traced address: UInt64) {
    self.init(address: address, isReturn: false, fields: ProbeFields())
    isTraced = true
  }

  init(traced symbol: String) {
    self.init(traced: 0)
    self.symbol = symbol
  }
}
