import Bytes

/// Copies ftrace text with other keys: every `apiakeylo_el1=0x...`, whatever printed it.
enum TextRedaction {
  static func run(_ text: RawSpan, _ copy: PatchedCopy) throws(Redaction.Failure) {
    var position = 0
    var nameStart = -1
    while let byte = text.u8(at: position) {
      if isWord(byte) {
        if nameStart < 0 { nameStart = position }
      } else {
        if byte == UInt8(ascii: "="), nameStart >= 0, isKey(text, nameStart, position) {
          position = try number(text, position + 1, copy)
          // "=0x1 (1)": the same once more (ftrace's option `fields`).
          if text.u8(at: position) == UInt8(ascii: " "),
            text.u8(at: position + 1) == UInt8(ascii: "(")
          {
            position = try number(text, position + 2, copy)
          }
          nameStart = -1
          continue
        }
        nameStart = -1
      }
      position += 1
    }
    try copy.copy(text, upTo: text.byteCount)
  }

  private static func isWord(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
      true
    default: false
    }
  }

  private static func isKey(_ text: RawSpan, _ start: Int, _ end: Int) -> Bool {
    guard end - start <= 24, let word = text.slice(at: start, count: end - start) else {
      return false
    }
    return KeyPlaces.names.contains(String(decoding: word.copied(), as: UTF8.self).lowercased())
  }

  /// Replaces the number at `start` by another, written as it was; returns where it ends.
  private static func number(
    _ text: RawSpan, _ start: Int, _ copy: PatchedCopy
  ) throws(Redaction.Failure) -> Int {
    let isHexadecimal =
      text.u8(at: start) == UInt8(ascii: "0")
      && text.u8(at: start + 1) == UInt8(ascii: "x")
    let first = isHexadecimal ? start + 2 : start
    var end = first
    while let byte = text.u8(at: end), isWord(byte) || byte == UInt8(ascii: "-") { end += 1 }
    guard let digits = text.slice(at: first, count: end - first)?.copied(), !digits.isEmpty else {
      return end
    }
    let word = String(decoding: digits, as: UTF8.self)
    let value =
      isHexadecimal
      ? UInt64(word, radix: 16) : UInt64(word) ?? Int64(word).map(UInt64.init(bitPattern:))
    guard let value else {
      throw Redaction.Failure(cannot: "a key is written as no number", at: start)
    }
    let other = copy.masked(value)
    let written =
      isHexadecimal
      ? String(other, radix: 16)
      : word.hasPrefix("-") ? String(Int64(bitPattern: other)) : String(other)
    try copy.replace(text, at: first, length: end - first, with: Array(written.utf8))
    return end
  }
}
