import Bytes

/// Text that was taken out of an HTML page as it stood there, with `&lt;` for `<`.
package enum EscapedMarkup {
  private static let entities: [(TextPattern, UInt8)] = [
    ("&lt;", UInt8(ascii: "<")), ("&gt;", UInt8(ascii: ">")), ("&amp;", UInt8(ascii: "&")),
    ("&quot;", UInt8(ascii: "\"")), ("&#39;", UInt8(ascii: "'")), ("&apos;", UInt8(ascii: "'")),
  ]
  private static let ampersand = UInt8(ascii: "&")
  private static let left: TextPattern = "&lt;-"
  private static let right: TextPattern = "==&gt;"

  /// An arrow of ftrace (`<-`, `==>`) stands in it that way, with its ampersand from `start` on and before `end`.
  package static func isIn(_ bytes: RawSpan, from start: Int = 0, to end: Int = .max) -> Bool {
    var position = start
    while let place = bytes.position(of: ampersand, from: position, to: end) {
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
    while let place = bytes.position(of: ampersand, from: position) {
      result += bytes.slice(at: position, count: place - position)?.copied() ?? []
      if let (entity, byte) = entities.first(where: { bytes.starts(with: $0.0, at: place) }) {
        result.append(byte)
        position = place + entity.bytes.count
      } else {
        result.append(ampersand)
        position = place + 1
      }
    }
    return result + (bytes.slice(at: position, count: bytes.byteCount - position)?.copied() ?? [])
  }
}
