import Printing

/// Writes JSON into a buffer, in the order it is told: no trees, no reflection.
public struct JSONWriter {
  public private(set) var bytes: [UInt8] = []
  private var needsComma = false
  private var depth = 0
  private let isPretty: Bool

  public init(pretty: Bool) { isPretty = pretty }

  public mutating func clear() {
    bytes.removeAll(keepingCapacity: true)
    needsComma = false
    depth = 0
  }

  public mutating func object(_ body: (inout JSONWriter) -> Void) { nest("{", "}", body) }
  public mutating func array(_ body: (inout JSONWriter) -> Void) { nest("[", "]", body) }

  public mutating func key(_ name: String) {
    separate()
    quote(name)
    bytes.append(UInt8(ascii: ":"))
    if isPretty { bytes.append(UInt8(ascii: " ")) }
    needsComma = false
  }

  public mutating func value(_ text: String?) {
    guard let text else { return null() }
    separate()
    quote(text)
    needsComma = true
  }
  public mutating func value<T: FixedWidthInteger>(_ number: T?) {
    guard let number else { return null() }
    separate()
    bytes.append(contentsOf: String(number).utf8)
    needsComma = true
  }
  /// Infinity and NaN are no JSON numbers: null.
  public mutating func value(_ number: Double) {
    guard number.isFinite else { return null() }
    separate()
    bytes.append(contentsOf: decimal(number).utf8)
    needsComma = true
  }
  /// A number with a decimal point, already in digits.
  mutating func number(_ digits: String) {
    separate()
    bytes.append(contentsOf: digits.utf8)
    needsComma = true
  }
  public mutating func value(_ flag: Bool?) {
    guard let flag else { return null() }
    separate()
    bytes.append(contentsOf: (flag ? "true" : "false").utf8)
    needsComma = true
  }
  public mutating func null() {
    separate()
    bytes.append(contentsOf: "null".utf8)
    needsComma = true
  }

  public mutating func field(_ name: String, _ text: String?) {
    key(name)
    value(text)
  }
  public mutating func field<T: FixedWidthInteger>(_ name: String, _ number: T?) {
    key(name)
    value(number)
  }
  public mutating func field(_ name: String, _ flag: Bool?) {
    key(name)
    value(flag)
  }
  public mutating func newline() { bytes.append(UInt8(ascii: "\n")) }

  private mutating func nest(_ open: String, _ close: String, _ body: (inout JSONWriter) -> Void) {
    separate()
    bytes.append(contentsOf: open.utf8)
    depth += 1
    needsComma = false
    let before = bytes.count
    body(&self)
    depth -= 1
    if isPretty, bytes.count > before { indent() }
    bytes.append(contentsOf: close.utf8)
    needsComma = true
  }

  private mutating func separate() {
    if needsComma { bytes.append(UInt8(ascii: ",")) }
    // A value right after its key stays on the line.
    if isPretty, depth > 0, bytes.last != UInt8(ascii: " ") { indent() }
    needsComma = false
  }

  private mutating func indent() {
    bytes.append(UInt8(ascii: "\n"))
    bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: depth * 2))
  }

  /// RFC 8259 §7: quotes and backslash are escaped, and all control characters, as a line of it may be
  /// shown on a terminal; the rest is UTF-8.
  private mutating func quote(_ text: String) {
    bytes.append(UInt8(ascii: "\""))
    let hasControls = ControlCharacters.areIn(text)
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\":
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(UInt8(truncatingIfNeeded: scalar.value))
      case _ where hasControls && ControlCharacters.contains(scalar):
        let digits = String(scalar.value, radix: 16)
        bytes.append(contentsOf: "\\u".utf8)
        bytes.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: 4 - digits.count))
        bytes.append(contentsOf: digits.utf8)
      default: bytes.append(contentsOf: scalar.utf8)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }
}
