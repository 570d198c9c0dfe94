import Bytes

/// Text that was taken out of an HTML page as it stood there, with `&lt;` for `<`.
package enum EscapedMarkup {
  private static let entities: [(TextPattern, UInt8)] = [
    ("&lt;", UInt8(ascii: "<")), ("&gt;", UInt8(ascii: ">")), ("&amp;", UInt8(ascii: "&")),
    ("&quot;", UInt8(ascii: "\"")), ("&#39;", UInt8(ascii: "'")), ("&apos;", UInt8(ascii: "'")),
  ]
  private static let left: TextPattern = "&lt;-"
  private static let right: TextPattern = "==&gt;"

  /// An arrow of ftrace (`<-`, `==>`) stands in it that way, with its ampersand from `start` on and before `end`.
  package static func isIn(_ bytes: RawSpan, from start: Int = 0, to end: Int = .max) -> Bool {
    var position = start
    while let place = bytes.ampersand(from: position, to: end) {
      if bytes.starts(with: left, at: place) || bytes.starts(with: right, at: place - 2) {
        return true
      }
      position = place + 1
    }
    return false
  }

  package static func removed(from bytes: RawSpan) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.byteCount)
    var position = 0
    while let place = bytes.ampersand(from: position) {
      result += bytes.slice(at: position, count: place - position)?.copied() ?? []
      if let (entity, byte) = entities.first(where: { bytes.starts(with: $0.0, at: place) }) {
        result.append(byte)
        position = place + entity.bytes.count
      } else {
        result.append(UInt8(ascii: "&"))
        position = place + 1
      }
    }
    return result + (bytes.slice(at: position, count: bytes.byteCount - position)?.copied() ?? [])
  }
}

extension RawSpan {
  /// Position of the next '&' at or after `start`; whether there is one behind `end` nobody asks.
  fileprivate func ampersand(from start: Int, to end: Int = .max) -> Int? {
    var position = start
    while position < end, let word = u64(at: position) {
      // As in lineEnd(from:).
      let other = word ^ 0x2626_2626_2626_2626
      let found = (other &- 0x0101_0101_0101_0101) & ~other & 0x8080_8080_8080_8080
      if found != 0 { return position &+ found.trailingZeroBitCount / 8 }
      position &+= 8
    }
    while position < end, let byte = u8(at: position) {
      if byte == UInt8(ascii: "&") { return position }
      position &+= 1
    }
    return nil
  }
}
