import Bytes

/// Characters of the text formats.
enum Character8 {
  static let tab: UInt8 = 9
  static let newline: UInt8 = 10
  static let carriageReturn: UInt8 = 13
  static let space: UInt8 = 32
  static let quote: UInt8 = 34
  static let hash: UInt8 = 35
  static let openParenthesis: UInt8 = 40
  static let closeParenthesis: UInt8 = 41
  static let plus: UInt8 = 43
  static let comma: UInt8 = 44
  static let minus: UInt8 = 45
  static let dot: UInt8 = 46
  static let slash: UInt8 = 47
  static let zero: UInt8 = 48
  static let colon: UInt8 = 58
  static let less: UInt8 = 60
  static let equals: UInt8 = 61
  static let greater: UInt8 = 62
  static let openBracket: UInt8 = 91
  static let closeBracket: UInt8 = 93
  static let openBrace: UInt8 = 123
  static let closeBrace: UInt8 = 125

  @inline(__always)
  static func isDigit(_ byte: UInt8) -> Bool { byte &- 48 < 10 }

  /// Value of a hexadecimal digit, 255 for anything else.
  @inline(__always)
  static func hexValue(_ byte: UInt8) -> UInt8 {
    let digit = byte &- 48
    if digit < 10 { return digit }
    let letter = (byte | 32) &- 97
    return letter < 6 ? letter &+ 10 : .max
  }

  /// Letters, digits and '_': what names of C consist of.
  @inline(__always)
  static func isWord(_ byte: UInt8) -> Bool {
    isDigit(byte) || (byte | 32) &- 97 < 26 || byte == 95
  }
}

/// Words and numbers of a line. Positions are from the start of the bytes; one outside of them
/// finds nothing.
extension RawSpan {
  /// Position of the next newline at or after `start`, the end of the bytes if there is none.
  func lineEnd(from start: Int) -> Int {
    var position = start
    while let word = u64(at: position) {
      // A zero byte of `other` is a newline: the classic test, exact for the lowest such byte.
      let other = word ^ 0x0a0a_0a0a_0a0a_0a0a
      let found = (other &- 0x0101_0101_0101_0101) & ~other & 0x8080_8080_8080_8080
      if found != 0 { return position &+ found.trailingZeroBitCount / 8 }
      position &+= 8
    }
    while let byte = u8(at: position), byte != Character8.newline { position &+= 1 }
    return Swift.min(position, byteCount)
  }

  @inline(__always)
  func skipBlanks(_ position: inout Int) {
    while let byte = u8(at: position), byte == Character8.space || byte == Character8.tab {
      position &+= 1
    }
  }

  /// Position of the next blank, or the end.
  @inline(__always)
  func wordEnd(from start: Int) -> Int {
    var position = start
    while let byte = u8(at: position), byte != Character8.space, byte != Character8.tab {
      position &+= 1
    }
    return position
  }

  /// A decimal number; nil, and no step, where there is none or it has more than 64 bits.
  @inline(__always)
  package func decimal(_ position: inout Int) -> UInt64? {
    var value: UInt64 = 0
    var place = position
    while let byte = u8(at: place), Character8.isDigit(byte) {
      let (product, tooLarge) = value.multipliedReportingOverflow(by: 10)
      let (sum, overflow) = product.addingReportingOverflow(UInt64(byte &- 48))
      if tooLarge || overflow { return nil }
      value = sum
      place &+= 1
    }
    guard place > position else { return nil }
    position = place
    return value
  }

  /// A hexadecimal number without 0x; nil, and no step, where there is none or it has more than 64
  /// bits.
  @inline(__always)
  package func hexadecimal(_ position: inout Int) -> UInt64? {
    var value: UInt64 = 0
    var place = position
    while let byte = u8(at: place) {
      let digit = Character8.hexValue(byte)
      if digit == .max { break }
      if value >> 60 != 0 { return nil }
      value = value << 4 | UInt64(digit)
      place &+= 1
    }
    guard place > position else { return nil }
    position = place
    return value
  }

  /// 0x and hexadecimal digits, or a decimal number with or without a sign, as 64 bits.
  @inline(__always)
  package func number(_ position: inout Int) -> UInt64? {
    if u8(at: position) == Character8.zero, u8(at: position &+ 1) == 120 {
      var digits = position &+ 2
      guard let value = hexadecimal(&digits) else { return nil }
      position = digits
      return value
    }
    guard u8(at: position) == Character8.minus else { return decimal(&position) }
    var digits = position &+ 1
    guard let value = decimal(&digits), value <= UInt64(Int64.max) else { return nil }
    position = digits
    return 0 &- value
  }

  @inline(__always)
  func starts(with text: TextPattern, at position: Int) -> Bool {
    guard position >= 0, position <= byteCount &- text.bytes.count else { return false }
    for index in 0..<text.bytes.count where u8(at: position &+ index) != text.bytes[index] {
      return false
    }
    return true
  }

  /// Position behind the first `text` at or after `start`.
  func position(behind text: TextPattern, from start: Int) -> Int? {
    guard let first = text.bytes.first else { return nil }
    var position = start
    while let byte = u8(at: position) {
      if byte == first, starts(with: text, at: position) { return position &+ text.bytes.count }
      position &+= 1
    }
    return nil
  }

  /// Position of the last `text` that ends at or before `end`.
  func lastPosition(of text: TextPattern, before end: Int) -> Int? {
    var position = Swift.min(end, byteCount) &- text.bytes.count
    while position >= 0 {
      if starts(with: text, at: position) { return position }
      position &-= 1
    }
    return nil
  }

  /// The text between two positions; invalid UTF-8 is repaired.
  func string(_ start: Int, _ end: Int) -> String {
    guard let part = slice(at: start, count: end - start) else { return "" }
    return String(decoding: part.copied(), as: UTF8.self)
  }
}

/// A text to look for.
struct TextPattern: ExpressibleByStringLiteral {
  let bytes: [UInt8]
  init(_ text: String) { bytes = Array(text.utf8) }
  init(stringLiteral text: StaticString) { self.init("\(text)") }
}
