/// A text that equals another only if its bytes do. To String "é" equals "e" with an accent behind it: which of the two
/// a merged report shows would depend on which came first.
public struct Spelling: Sendable, Hashable, Comparable {
  public var text: String

  public init(_ text: String) { self.text = text }

  public static func == (a: Self, b: Self) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }
  public static func < (a: Self, b: Self) -> Bool {
    a.text.utf8.lexicographicallyPrecedes(b.text.utf8)
  }
  public func hash(into hasher: inout Hasher) {
    for byte in text.utf8 { hasher.combine(byte) }
    hasher.combine(UInt8(0xff))
  }
}
