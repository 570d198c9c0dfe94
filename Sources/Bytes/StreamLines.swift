/// The lines of a stream, one at a time: memory is that of the longest.
package struct StreamLines: ~Copyable {
  package enum Line {
    /// Without its line feed; the last line may have none.
    case whole([UInt8])
    /// It has more bytes than the limit: it was passed over.
    case tooLong
  }

  private let stream: ByteStream
  private let limit: Int
  private var bytes: [UInt8] = []
  private var position = 0
  private var isAtEnd = false

  /// - Parameters:
  ///   - path: "-" is standard input.
  ///   - limit: bytes of a line.
  package init(path: String, limit: Int) throws(ByteStream.Failure) {
    stream = try ByteStream(path: path)
    self.limit = limit
  }

  /// nil at the end.
  package mutating func next() throws(ByteStream.Failure) -> Line? {
    var searched = position
    var isTooLong = false
    while true {
      if let end = bytes[searched...].firstIndex(of: UInt8(ascii: "\n")) {
        defer { position = end + 1 }
        return isTooLong || end - position > limit ? .tooLong : .whole(Array(bytes[position..<end]))
      }
      if isAtEnd {
        guard position < bytes.count || isTooLong else { return nil }
        defer { position = bytes.count }
        return isTooLong ? .tooLong : .whole(Array(bytes[position...]))
      }
      bytes.removeSubrange(..<position)
      position = 0
      if bytes.count > limit {
        bytes.removeAll(keepingCapacity: true)
        isTooLong = true
      }
      searched = bytes.count
      switch try stream.next(limit: 1 << 18) {
      case .bytes(let more): bytes.append(contentsOf: more)
      case .silence: break
      case .end: isAtEnd = true
      }
    }
  }
}
