import Bytes

/// Records that are read into chunks: from a stream, which comes once, or from a mapped file whose
/// records have to be changed before they are used (byte-swapped ones).
struct ChunkedInput: ~Copyable {
  /// Lane 0 is the input itself.
  var chunks = RecordChunks()
  let lane: Int
  private let stream: ByteStream?
  /// Of a mapped file: the next byte to copy, and the end.
  private var position: Int
  private let end: Int
  /// Of the first byte not consumed, in the input.
  private(set) var offset: UInt64
  /// Why the stream ended, an errno; 0: it simply did.
  private(set) var failure: CInt = 0

  init(_ stream: consuming ByteStream) {
    self.stream = consume stream
    position = 0
    end = 0
    offset = 0
    lane = chunks.addLane()
  }

  /// Bytes `start` to `end` of a mapped file.
  init(from start: Int, to end: Int) {
    stream = nil
    position = start
    self.end = end
    offset = UInt64(start)
    lane = chunks.addLane()
  }

  /// A signal ended the stream, perhaps within a record.
  var isStopped: Bool {
    switch stream {
    case .some(let stream): stream.isStopped
    case .none: false
    }
  }

  /// Where the first byte not consumed lies: chunk, and offset in it.
  var place: (chunk: UInt32, offset: Int) {
    (chunks.number(lane), chunks.parsedCount(lane))
  }

  /// Bytes that are there, from the first not consumed.
  var unparsed: RawSpan {
    @_lifetime(borrow self)
    get { chunks.newest(lane).extracting(droppingFirst: chunks.parsedCount(lane)) }
  }

  /// Waits until `count` bytes are there, at most the largest record; false when the input ends before.
  mutating func need(_ count: Int, _ file: RawSpan) -> Bool {
    while chunks.unparsedCount(lane) < count {
      guard more(file) else { return false }
    }
    return true
  }

  mutating func consume(_ count: Int) {
    chunks.didParse(lane, upTo: chunks.parsedCount(lane) + count)
    offset += UInt64(count)
  }

  /// Hands over the next `count` bytes, however many; false when the input ends before. Chunks before
  /// `oldest` are not needed any more.
  mutating func pass(
    _ count: UInt64, _ file: RawSpan, oldest: UInt32 = .max, to body: (RawSpan) -> Void
  ) -> Bool {
    var left = count
    while left > 0 {
      if chunks.unparsedCount(lane) == 0 {
        guard more(file) else { return false }
        continue
      }
      let step = Int(Swift.min(left, UInt64(chunks.unparsedCount(lane))))
      body(unparsed.extracting(first: step))
      consume(step)
      left -= UInt64(step)
      chunks.release(before: oldest)
    }
    return true
  }

  /// Gets more bytes; false at the end of the input.
  private mutating func more(_ file: RawSpan) -> Bool {
    guard stream != nil else {
      return chunks.copy(lane, from: file.extracting(first: end), at: &position)
    }
    do throws(ByteStream.Failure) {
      guard let isThere = try fill() else { return false }
      return isThere
    } catch {
      failure = error.number
      return false
    }
  }

  private mutating func fill() throws(ByteStream.Failure) -> Bool? {
    switch stream {
    case .some(let stream): try chunks.fill(lane, from: stream)
    case .none: nil
    }
  }
}
