/// Bytes with records in them that are not in a mapped file, because they were decompressed, came
/// through a pipe, or have to be changed: chunks that live until their last record is used.
///
/// Each source of bytes fills a lane of its own: one chunk after another, all numbered in one row. A
/// record may straddle two pieces of input: its beginning waits at the end of the chunk, and moves to
/// the start of the lane's next chunk when this one is full.
@safe package struct RecordChunks: ~Copyable {
  /// Size of a chunk in bytes; several times that of the largest record (64 KiB).
  private static let chunkSize = 1 << 19
  private static let spareLimit = 4

  private struct Lane {
    /// Number of the chunk that is being filled, 0: none yet.
    var current: UInt32 = 0
    var filled = 0
    var parsed = 0
    /// Of a lane that is decompressed.
    var zstd: ZstdStream?
  }

  private var lanes: [Lane] = []
  /// Without a base address: released.
  private var chunks: [UnsafeMutableRawBufferPointer] = unsafe []
  private var spare: [UnsafeMutableRawBufferPointer] = unsafe []
  /// Number of `chunks[0]`.
  private var firstNumber: UInt32 = 1

  package init() {}

  deinit {
    for index in 0..<(unsafe chunks.count) { unsafe chunks[index].deallocate() }
    for index in 0..<(unsafe spare.count) { unsafe spare[index].deallocate() }
  }

  /// Opens a lane for bytes as they are; returns its number, from 0.
  package mutating func addLane() -> Int {
    lanes.append(Lane())
    return lanes.count - 1
  }

  /// Opens a lane for the bytes of one zstd stream.
  package mutating func addZstdLane() throws(ZstdStream.Failure) -> Int {
    lanes.append(Lane(zstd: try ZstdStream()))
    return lanes.count - 1
  }

  /// Number of the lane's newest chunk; numbers begin with 1, and 0 means that there is none yet.
  package func number(_ lane: Int) -> UInt32 { lanes[lane].current }

  /// Of the lane's newest chunk: bytes that are parsed.
  package func parsedCount(_ lane: Int) -> Int { lanes[lane].parsed }

  /// Bytes of a record whose rest has not come.
  package func unparsedCount(_ lane: Int) -> Int { lanes[lane].filled - lanes[lane].parsed }

  /// All bytes of the lane's newest chunk that are there.
  @_lifetime(borrow self)
  package func newest(_ lane: Int) -> RawSpan {
    chunk(lanes[lane].current).extracting(first: lanes[lane].filled)
  }

  /// The chunk of that number, empty when it is gone.
  @_lifetime(borrow self)
  package func chunk(_ number: UInt32) -> RawSpan {
    guard let buffer = unsafe buffer(number) else { return RawSpan() }
    let span = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(buffer))
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  /// Decompresses on from `position` of a piece, which it advances, until the piece is used up or the
  /// chunk is full; false when there is nothing more to get from this piece.
  package mutating func inflate(
    _ lane: Int, _ piece: RawSpan, from position: inout Int
  ) throws(ZstdStream.Failure) -> Bool {
    guard let zstd = lanes[lane].zstd else { return false }
    let target = unsafe room(lane)
    let before = (position, lanes[lane].filled)
    unsafe try zstd.decompress(piece, from: &position, into: target, filled: &lanes[lane].filled)
    return before != (position, lanes[lane].filled)
  }

  /// The same, of a piece that lies in the newest chunk of the lane `source`.
  package mutating func inflate(
    _ lane: Int, from source: Int, at offset: Int, count: Int, position: inout Int
  ) throws(ZstdStream.Failure) -> Bool {
    // The chunk stays where it is: only `lane`, another one, gets new chunks.
    guard lane != source, let buffer = unsafe buffer(lanes[source].current),
      let piece = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(buffer))
        .extracting(first: lanes[source].filled).slice(at: offset, count: count)
    else { return false }
    return try inflate(lane, unsafe _overrideLifetime(piece, copying: ()), from: &position)
  }

  /// Reads what has come; false at the end of the stream.
  package mutating func fill(
    _ lane: Int, from stream: borrowing ByteStream
  ) throws(ByteStream.Failure) -> Bool {
    let target = unsafe room(lane)
    let count = unsafe try stream.read(
      into: UnsafeMutableRawBufferPointer(rebasing: target[lanes[lane].filled...]))
    lanes[lane].filled += count
    return count > 0
  }

  /// Copies from `position` of `bytes`, which it advances; false at their end.
  package mutating func copy(
    _ lane: Int, from bytes: RawSpan, at position: inout Int
  ) -> Bool {
    let target = unsafe room(lane)
    let filled = lanes[lane].filled
    let count = Swift.min(bytes.byteCount - position, Self.chunkSize - filled)
    guard count > 0, let piece = bytes.slice(at: position, count: count) else { return false }
    unsafe piece.withUnsafeBytes { source in
      unsafe UnsafeMutableRawBufferPointer(rebasing: target[filled...]).copyMemory(from: source)
    }
    position += count
    lanes[lane].filled = filled + count
    return true
  }

  /// The lane's newest chunk is parsed up to `offset`.
  package mutating func didParse(_ lane: Int, upTo offset: Int) {
    lanes[lane].parsed = Swift.min(Swift.max(lanes[lane].parsed, offset), lanes[lane].filled)
  }

  /// Chunks before `number` are not needed any more; the newest of each lane stays.
  package mutating func release(before number: UInt32) {
    let end = Swift.min(number, unsafe firstNumber + UInt32(chunks.count))
    guard end > firstNumber else { return }
    for freed in firstNumber..<end where !lanes.contains(where: { $0.current == freed }) {
      free(freed)
    }
    dropReleased()
  }

  /// Reverses the bytes of `count` numbers of the lane's newest chunk, each of `width` bytes, from
  /// `offset` on; those that are not all there stay as they are.
  package mutating func reverseBytes(_ lane: Int, at offset: Int, width: Int, count: Int = 1) {
    guard let buffer = unsafe buffer(lanes[lane].current), offset >= 0, count >= 0 else { return }
    var start = offset
    for _ in 0..<count {
      guard start <= lanes[lane].filled - width else { return }
      unsafe buffer[start..<(start + width)].reverse()
      start += width
    }
  }

  @unsafe private func buffer(_ number: UInt32) -> UnsafeMutableRawBufferPointer? {
    guard number >= firstNumber, unsafe Int(number - firstNumber) < chunks.count else { return nil }
    let buffer = unsafe chunks[Int(number - firstNumber)]
    return unsafe buffer.baseAddress == nil ? nil : buffer
  }

  /// The chunk that the lane fills, with room in it.
  @unsafe private mutating func room(_ lane: Int) -> UnsafeMutableRawBufferPointer {
    let old = lanes[lane]
    if let current = unsafe buffer(old.current), old.filled < Self.chunkSize {
      return unsafe current
    }
    let next =
      unsafe spare.popLast() ?? .allocate(byteCount: Self.chunkSize, alignment: 16)
    var carried = 0
    if let last = unsafe buffer(old.current), old.filled - old.parsed < Self.chunkSize {
      carried = old.filled - old.parsed
      let tail = unsafe UnsafeRawBufferPointer(rebasing: last[old.parsed..<old.filled])
      unsafe next.copyMemory(from: tail)
    }
    unsafe chunks.append(next)
    lanes[lane].current = unsafe firstNumber + UInt32(chunks.count) - 1
    lanes[lane].filled = carried
    lanes[lane].parsed = 0
    return unsafe next
  }

  private mutating func free(_ number: UInt32) {
    guard let buffer = unsafe buffer(number) else { return }
    if unsafe spare.count < Self.spareLimit {
      unsafe spare.append(buffer)
    } else {
      unsafe buffer.deallocate()
    }
    unsafe chunks[Int(number - firstNumber)] = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  }

  private mutating func dropReleased() {
    var count = 0
    while unsafe count < chunks.count, unsafe chunks[count].baseAddress == nil { count += 1 }
    unsafe chunks.removeFirst(count)
    firstNumber += UInt32(count)
  }
}
