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
    position(of: Character8.newline, from: start) ?? byteCount
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
    // So many digits always have room.
    while place &- position < 19, let byte = u8(at: place), Character8.isDigit(byte) {
      value = value &* 10 &+ UInt64(byte &- 48)
      place &+= 1
    }
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
    while value >> 32 == 0, let word = u64(at: place), let eight = word.eightHexDigits {
      value = value << 32 | eight
      place &+= 8
    }
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
    var index = 0
    if let word = u64(at: position) {
      guard (word ^ text.head) & text.mask == 0 else { return false }
      index = 8
    }
    while index < text.bytes.count {
      guard u8(at: position &+ index) == text.bytes[index] else { return false }
      index &+= 1
    }
    return true
  }

  /// Position behind the first `text` at or after `start`.
  func position(behind text: TextPattern, from start: Int) -> Int? {
    guard let first = text.bytes.first else { return nil }
    var position = start
    while let place = self.position(of: first, from: position) {
      if starts(with: text, at: place) { return place &+ text.bytes.count }
      position = place &+ 1
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
  /// Its first eight bytes as a little-endian number, and which of those it has.
  let head: UInt64
  let mask: UInt64

  init(_ text: String) {
    bytes = Array(text.utf8)
    (head, mask) = Self.word(bytes[...])
  }

  /// The first eight of the bytes as a little-endian number, and which of them there are.
  static func word(_ bytes: ArraySlice<UInt8>) -> (word: UInt64, mask: UInt64) {
    var result: (word: UInt64, mask: UInt64) = (0, 0)
    for (index, byte) in bytes.prefix(8).enumerated() {
      result.word |= UInt64(byte) << UInt64(8 * index)
      result.mask |= 0xff << UInt64(8 * index)
    }
    return result
  }

  init(stringLiteral text: StaticString) { self.init("\(text)") }
}

extension UInt64 {
  /// The value of eight characters, the first in the lowest byte, each of them a hexadecimal digit; nil: not all are.
  ///
  /// All bytes at once: bit 7 of a byte of `digits` and `letters` says that it is one, and no sum carries into the next.
  @inline(__always)
  fileprivate var eightHexDigits: UInt64? {
    let high: UInt64 = 0x8080_8080_8080_8080
    guard self & high == 0 else { return nil }
    let fromZero = self ^ 0x3030_3030_3030_3030  // "0" ... "9": 0 ... 9
    let fromA = (self | 0x2020_2020_2020_2020) ^ 0x6060_6060_6060_6060  // "A", "a" ... "f": 1 ... 6
    let digits = ~(fromZero &+ 0x7676_7676_7676_7676) & high
    let letters = (fromA &+ 0x7f7f_7f7f_7f7f_7f7f) & ~(fromA &+ 0x7979_7979_7979_7979) & high
    guard digits | letters == high else { return nil }
    let nibbles = self & 0x0f0f_0f0f_0f0f_0f0f &+ (letters >> 7) &* 9
    let bytes = (nibbles & 0x000f_000f_000f_000f) << 4 | (nibbles >> 8) & 0x000f_000f_000f_000f
    let pairs = (bytes & 0x0000_00ff_0000_00ff) << 8 | (bytes >> 16) & 0x0000_00ff_0000_00ff
    return (pairs & 0xffff) << 16 | pairs >> 32
  }
}
