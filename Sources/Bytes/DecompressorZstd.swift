import CZstd
import Glibc

extension Decompressor {
  /// Unpacks zstd, several frames in a row included.
  static func decompressZstd(
    from input: CInt, to output: CInt, limit: UInt64
  ) throws(DecompressionError) {
    guard let context = unsafe ZSTD_createDCtx() else {
      throw DecompressionError(code: .outOfMemory, description: "no memory for a zstd decoder")
    }
    let source = UnsafeMutableRawBufferPointer.allocate(byteCount: inputSize, alignment: 16)
    let target = UnsafeMutableRawBufferPointer.allocate(byteCount: outputSize, alignment: 16)
    defer {
      unsafe ZSTD_freeDCtx(context)
      unsafe source.deallocate()
      unsafe target.deallocate()
    }

    var total: UInt64 = 0
    // Bytes still expected by the current frame as the decoder sees it; 0 between frames.
    var expected = 0
    while true {
      let count = try unsafe read(input, into: source)
      if count == 0 { break }
      var supply = unsafe ZSTD_inBuffer(src: source.baseAddress, size: count, pos: 0)
      var full = false
      // A full output buffer may leave bytes inside the decoder although all input is taken.
      while unsafe supply.pos < supply.size || full {
        var room = unsafe ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
        expected = unsafe ZSTD_decompressStream(context, &room, &supply)
        guard ZSTD_isError(expected) == 0 else {
          throw DecompressionError(code: .corrupt, description: "the zstd stream is damaged")
        }
        try unsafe write(
          UnsafeRawBufferPointer(rebasing: target[..<room.pos]), to: output, total: &total,
          limit: limit)
        full = unsafe room.pos == room.size && expected != 0
      }
    }
    guard expected == 0 else {
      throw DecompressionError(code: .truncated, description: "the zstd stream is cut short")
    }
  }
}
