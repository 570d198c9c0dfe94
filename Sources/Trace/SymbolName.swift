import Bytes

/// The name of a probed place, as a number: so that an event is plain bytes, to be copied without counting references.
///
/// Equal names are equal numbers, in this process.
public struct SymbolName: Sendable, Hashable, BitwiseCopyable {
  private let number: UInt32
  /// Of the function, in bytes, as the kernel counts: up to the next symbol. 0: not said.
  public let size: UInt32

  private struct Names: Sendable {
    var numbers: [String: UInt32] = [:]
    var texts: [String] = [""]
  }

  private static let names = SharedValue(Names())
  /// A kernel has a quarter of it; those of a file that has more are no function of a kernel, and one empty name.
  private static let limit = 1 << 20

  public init(_ text: String, size: UInt32 = 0) {
    self.size = size
    number = Self.names.withLock { names in
      if let known = names.numbers[text] { return known }
      guard names.texts.count < Self.limit else { return 0 }
      let number = UInt32(names.texts.count)
      names.numbers[text] = number
      names.texts.append(text)
      return number
    }
  }

  public var text: String {
    Self.names.withLock { $0.texts[Int(number)] }
  }
}
