/// Decompressed blocks, one in each of a number of slots; a slot is used again and again, so the
/// memory is that of the largest block of each slot.
@safe package struct InflatedSlots: ~Copyable {
  private var buffers: [UnsafeMutableRawBufferPointer]
  /// Bytes of each slot that hold a block.
  private var filled: [Int]
  private let decoder: BlockDecoder?

  /// - Parameter format: nil when nothing is compressed; then the slots stay empty.
  package init(count: Int, _ format: BlockDecoder.Format?) throws(BlockDecoder.Failure) {
    var decoder: BlockDecoder?
    if let format { decoder = try BlockDecoder(format) }
    self.decoder = decoder
    filled = Array(repeating: 0, count: count)
    let none = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
    unsafe buffers = unsafe Array(repeating: none, count: count)
  }

  deinit {
    for index in 0..<(unsafe buffers.count) { unsafe buffers[index].deallocate() }
  }

  /// The block in slot `index`, empty when there is none.
  @_lifetime(borrow self)
  package func slot(_ index: Int) -> RawSpan {
    guard filled.indices.contains(index) else { return RawSpan() }
    let bytes = unsafe UnsafeRawBufferPointer(rebasing: buffers[index][..<filled[index]])
    return unsafe _overrideLifetime(RawSpan(_unsafeBytes: bytes), borrowing: self)
  }

  /// Decompresses `block` into slot `index`, in place of what it held.
  ///
  /// - Parameter size: bytes that the block is said to have when decompressed. The caller has checked
  ///   that so many may be allocated.
  package mutating func inflate(
    _ block: RawSpan, size: Int, into index: Int
  ) throws(BlockDecoder.Failure) {
    guard let decoder, filled.indices.contains(index), size >= 0 else {
      throw BlockDecoder.Failure(reason: "nothing is compressed here")
    }
    filled[index] = 0
    if unsafe buffers[index].count < size {
      unsafe buffers[index].deallocate()
      unsafe buffers[index] = .allocate(byteCount: size, alignment: 16)
    }
    let room = unsafe UnsafeMutableRawBufferPointer(rebasing: buffers[index][..<size])
    filled[index] = unsafe try decoder.decode(block, into: room)
  }
}
