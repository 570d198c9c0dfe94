import Trace

/// The kernel functions that probe hits and records of the function tracer are of, each asked for once.
struct ProbedFunctions {
  /// See ``Replayer/Configuration/resolve``.
  private let resolve: ((UInt64) -> KernelFunction?)?
  private var byAddress = AddressTable<KernelFunction?>()
  private var bySymbol: [SymbolName: KernelFunction?] = [:]
  /// Of records of the function tracer, which may be of any function.
  private var traced = AddressTable<KernelFunction?>()
  /// Symbols come from a text, which may have any number of them.
  private static let symbolLimit = 4096

  init(_ resolve: ((UInt64) -> KernelFunction?)?) {
    self.resolve = resolve
  }

  /// Every address that a probe was hit at, in order.
  var addresses: [UInt64] { byAddress.addresses }

  /// Every symbol that a text named, in order.
  var symbols: [SymbolName] {
    bySymbol.keys.sorted { ($0.text, $0.size) < ($1.text, $1.size) }
  }

  /// Of a probe hit: by its address; by its symbol where a text has no address, or there is no image to ask.
  mutating func function(of event: borrowing Event) -> KernelFunction? {
    guard let symbol = event.hit.symbolName, event.hit.address == 0 || resolve == nil else {
      return Self.function(at: event.hit.address, in: &byAddress, resolve)
    }
    if let known = bySymbol[symbol] { return known }
    let found = KernelFunction(symbol: symbol.text)
    if bySymbol.count < Self.symbolLimit { bySymbol[symbol] = .some(found) }
    return found
  }

  /// Of a record of the function tracer.
  mutating func traced(of event: borrowing Event) -> KernelFunction? {
    guard event.hit.address != 0, event.hit.symbolName == nil else { return function(of: event) }
    return Self.function(at: event.hit.address, in: &traced, resolve)
  }

  private static func function(
    at address: UInt64, in table: inout AddressTable<KernelFunction?>,
    _ resolve: ((UInt64) -> KernelFunction?)?
  ) -> KernelFunction? {
    if let known = table[address] { return known }
    let found = resolve?(address)
    table[address] = .some(found)
    return found
  }
}
