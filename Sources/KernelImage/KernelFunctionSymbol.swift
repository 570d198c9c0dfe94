/// A function of the kernel, and a place in it. Addresses are link-time addresses (no KASLR slide).
public struct KernelFunctionSymbol: Sendable, Equatable {
  public let name: String
  /// Of the first instruction.
  public let address: UInt64
  /// Bytes.
  public let size: UInt64
  /// Bytes from the first instruction to the address asked for.
  public let offset: UInt64
}
