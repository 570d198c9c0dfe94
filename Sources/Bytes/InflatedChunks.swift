/// The decompressed side of a zstd stream that arrives in pieces and holds records: chunks of bytes
/// that live until their last record is used.
///
/// A record may straddle two pieces: its beginning waits at the end of the chunk, and moves to the
/// start of the next chunk when this one is full.
@safe package struct InflatedChunks: ~Copyable {
  /// Size of a chunk in bytes; several times that of the largest record (64 KiB).
  private static let chunkSize = 1 << 19
  private static let spareLimit = 4

  private let stream: ZstdStream
  private var chunks: [UnsafeMutableRawBufferPointer] = unsafe []
  private var spare: [UnsafeMutableRawBufferPointer] = unsafe []
  /// Number of `chunks[0]`.
  private var firstNumber: UInt32 = 1
  private var filled = 0
  /// Of the newest chunk: bytes that are parsed.
  package private(set) var parsedCount = 0

  package init() throws(ZstdStream.Failure) { stream = try ZstdStream() }

  deinit {
    for index in 0..<(unsafe chunks.count) { unsafe chunks[index].deallocate() }
    for index in 0..<(unsafe spare.count) { unsafe spare[index].deallocate() }
  }

  /// Number of the newest chunk; numbers begin with 1, and 0 means that there is none yet.
  package var newestNumber: UInt32 { unsafe firstNumber + UInt32(chunks.count) - 1 }

  /// Bytes of a record whose rest has not come.
  package var unparsedCount: Int { filled - parsedCount }

  /// All that is decompressed of the newest chunk.
  package var newest: RawSpan {
    @_lifetime(borrow self)
    get { chunk(newestNumber).extracting(first: filled) }
  }

  /// The chunk of that number, empty when it is gone.
  @_lifetime(borrow self)
  package func chunk(_ number: UInt32) -> RawSpan {
    guard number >= firstNumber, unsafe Int(number - firstNumber) < chunks.count else {
      return RawSpan()
    }
    let buffer = unsafe UnsafeRawBufferPointer(chunks[Int(number - firstNumber)])
    return unsafe _overrideLifetime(RawSpan(_unsafeBytes: buffer), borrowing: self)
  }

  /// Decompresses on from `position` of a piece, which it advances, until the piece is used up or the
  /// chunk is full; false when there is nothing more to get from this piece.
  package mutating func inflate(
    _ piece: RawSpan, from position: inout Int
  ) throws(ZstdStream.Failure) -> Bool {
    if unsafe chunks.isEmpty || filled == Self.chunkSize { startChunk() }
    let before = (position, filled)
    let target = unsafe chunks[chunks.count - 1]
    unsafe try stream.decompress(piece, from: &position, into: target, filled: &filled)
    return before != (position, filled)
  }

  /// The newest chunk is parsed up to `offset`.
  package mutating func didParse(upTo offset: Int) {
    parsedCount = Swift.min(Swift.max(parsedCount, offset), filled)
  }

  /// Chunks before `number` are not needed any more; the newest stays.
  package mutating func release(before number: UInt32) {
    let count = unsafe Swift.min(
      Int(Swift.max(number, firstNumber) - firstNumber), chunks.count - 1)
    guard count > 0 else { return }
    for index in 0..<count {
      if unsafe spare.count < Self.spareLimit {
        unsafe spare.append(chunks[index])
      } else {
        unsafe chunks[index].deallocate()
      }
    }
    unsafe chunks.removeFirst(count)
    firstNumber += UInt32(count)
  }

  private mutating func startChunk() {
    let next =
      unsafe spare.popLast() ?? .allocate(byteCount: Self.chunkSize, alignment: 16)
    var carried = 0
    if let last = unsafe chunks.last {
      carried = filled - parsedCount
      if carried < Self.chunkSize {
        let tail = unsafe UnsafeRawBufferPointer(rebasing: last[parsedCount..<filled])
        unsafe next.copyMemory(from: tail)
      } else {
        carried = 0
      }
    }
    unsafe chunks.append(next)
    filled = carried
    parsedCount = 0
  }
}
