public import KernelImage
public import Trace

/// A vmlinux laid under a recording: run-time addresses become functions.
public struct KernelBinding {
  public let image: KernelImage
  /// Run-time minus link-time address (KASLR), wrapping.
  public let slide: UInt64
  /// The recording names the run-time address of a symbol that the image has.
  public let slideIsKnown: Bool

  /// A kprobe on a function's first instructions still sees its arguments (BTI, PACIASP and a
  /// patchable entry come first).
  static let entryBytes: UInt64 = 16

  public init(_ image: KernelImage, _ recording: Recording) {
    self.image = image
    if let text = recording.kernelText, let linked = image.addresses(of: text.symbol).first {
      slide = text.address &- linked
      slideIsKnown = true
    } else {
      slide = 0
      slideIsKnown = false
    }
  }

  /// The function whose entry a run-time address is; nil for any other address.
  public func function(at address: UInt64) -> KernelFunction? {
    guard let symbol = image.function(at: address &- slide), symbol.offset < Self.entryBytes else {
      return nil
    }
    return KernelFunction(name: symbol.name)
  }

  /// Whether a run-time address is the entry of any function of the image.
  public func isFunctionEntry(_ address: UInt64) -> Bool {
    image.function(at: address &- slide).map { $0.offset < Self.entryBytes } ?? false
  }

  /// What a symbol may be longer in a kernel's own list, which counts up to the next symbol, in bytes.
  private static let padding: UInt64 = 64

  /// Whether the image has the function that a symbol names, and as long; nil: none whose probes the replay understands.
  public func has(_ symbol: SymbolName) -> Bool? {
    guard let function = KernelFunction(symbol: symbol.text), let symbols = image.symbols else {
      return nil
    }
    let size = UInt64(symbol.size)
    return symbols.functions(called: function.rawValue).contains {
      size == 0 || $0.size <= size && size - $0.size < Self.padding
    }
  }

  /// Source file and line of the first of `symbols` that the image has.
  public func source(ofFirst symbols: [String]) -> (symbol: String, location: SourceLocation)? {
    for symbol in symbols {
      if let address = image.addresses(of: symbol).first,
        let location = image.declaration(ofFunctionAt: address)
          ?? image.sourceLocation(of: address)
      {
        return (symbol, location)
      }
    }
    return nil
  }
}
