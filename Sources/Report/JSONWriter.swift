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
    if number < 0 { bytes.append(UInt8(ascii: "-")) }
    digits(UInt64(truncatingIfNeeded: number.magnitude), radix: 10)
    needsComma = true
  }
  /// A pointer: "0x" and hexadecimal digits, in quotes.
  mutating func pointer(_ address: UInt64?) {
    guard let address else { return null() }
    separate()
    append("\"0x")
    digits(address, radix: 16)
    bytes.append(UInt8(ascii: "\""))
    needsComma = true
  }
  /// Infinity and NaN are no JSON numbers: null.
  public mutating func value(_ number: Double) {
    guard number.isFinite else { return null() }
    separate()
    append(decimal(number))
    needsComma = true
  }
  /// A number with a decimal point, already in digits.
  mutating func number(_ digits: String) {
    separate()
    append(digits)
    needsComma = true
  }
  public mutating func value(_ flag: Bool?) {
    guard let flag else { return null() }
    separate()
    append(flag ? "true" : "false")
    needsComma = true
  }
  public mutating func null() {
    separate()
    append("null")
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
  mutating func field(_ name: String, pointer address: UInt64?) {
    key(name)
    pointer(address)
  }
  public mutating func newline() { bytes.append(UInt8(ascii: "\n")) }

  private mutating func nest(_ open: String, _ close: String, _ body: (inout JSONWriter) -> Void) {
    separate()
    append(open)
    depth += 1
    needsComma = false
    let before = bytes.count
    body(&self)
    depth -= 1
    if isPretty, bytes.count > before { indent() }
    append(close)
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
    let start = bytes.count
    for byte in text.utf8 {
      guard Self.isPlain(byte) else {
        bytes.removeLast(bytes.count - start)
        escape(text)
        break
      }
      bytes.append(byte)
    }
    bytes.append(UInt8(ascii: "\""))
  }

  /// Stands for itself, whatever follows: no byte of what is escaped, nor the first of a longer character that may be.
  private static func isPlain(_ byte: UInt8) -> Bool {
    byte >= 0x20 && byte < 0x7f && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
  }

  private mutating func escape(_ text: String) {
    let hasControls = ControlCharacters.areIn(text)
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\":
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(UInt8(truncatingIfNeeded: scalar.value))
      case _ where hasControls && ControlCharacters.contains(scalar):
        let digits = String(scalar.value, radix: 16)
        append("\\u")
        bytes.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: 4 - digits.count))
        append(digits)
      default: bytes.append(contentsOf: scalar.utf8)
      }
    }
  }

  private mutating func append(_ text: String) {
    for byte in text.utf8 { bytes.append(byte) }
  }

  private mutating func digits(_ number: UInt64, radix: UInt64) {
    var backward = InlineArray<20, UInt8>(repeating: 0)
    var count = 0
    var rest = number
    repeat {
      let digit = UInt8(truncatingIfNeeded: rest % radix)
      backward[count] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
      count += 1
      rest /= radix
    } while rest > 0
    for place in (0..<count).reversed() { bytes.append(backward[place]) }
  }
}
