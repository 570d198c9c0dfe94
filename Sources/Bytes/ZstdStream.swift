private import CZstd

/// One zstd stream that arrives in pieces: the context lives from the first piece to the last.
@safe package final class ZstdStream {
  private let context: OpaquePointer
  /// Bytes so far.
  private var taken: UInt64 = 0
  private var made: UInt64 = 0

  /// What zstd says about bytes it cannot decompress.
  package struct Failure: Error {
    package var reason: String
  }

  package init() throws(Failure) {
    guard let made = unsafe ZSTD_createDCtx() else {
      throw Failure(reason: "out of memory")
    }
    unsafe context = made
  }

  deinit { _ = unsafe ZSTD_freeDCtx(context) }

  /// Decompresses from `input`, starting at `position` which it advances, into `output` from index
  /// `filled`, which it advances. Stops when the input is used up or the output is full.
  @unsafe func decompress(
    _ input: RawSpan, from position: inout Int, into output: UnsafeMutableRawBufferPointer,
    filled: inout Int
  ) throws(Failure) {
    let readSize = input.byteCount
    let start = position
    guard start >= 0, start <= readSize, filled >= 0, filled <= output.count else {
      throw Failure(reason: "position outside of the buffer")
    }
    var to = unsafe ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: filled)
    let context = unsafe self.context
    let (status, consumed) = unsafe input.withUnsafeBytes { source -> (Int, Int) in
      var from = unsafe ZSTD_inBuffer(src: source.baseAddress, size: readSize, pos: start)
      var status = 0
      repeat {
        let before = unsafe (from.pos, to.pos)
        unsafe status = ZSTD_decompressStream(context, &to, &from)
        if unsafe before == (from.pos, to.pos) { break }
      } while unsafe ZSTD_isError(status) == 0 && from.pos < from.size && to.pos < to.size
      return unsafe (status, from.pos)
    }
    taken += UInt64(consumed - start)
    made += unsafe UInt64(to.pos - filled)
    position = consumed
    unsafe filled = to.pos
    guard made <= Decompressor.bound(ofSize: taken) else {
      throw Failure(
        reason:
          "it unpacks to more than \(Decompressor.ratioLimit) times its size, as no recording does")
    }
    if ZSTD_isError(status) != 0 {
      guard let name = unsafe ZSTD_getErrorName(status) else { throw Failure(reason: "unknown") }
      throw unsafe Failure(reason: String(cString: name))
    }
  }
}
