import CZlib
import Glibc

extension Decompressor {
  /// inflateInit2's window bits for gzip alone: 15, the largest window, and 16 (zlib.h).
  private static let gzipWindowBits: Int32 = 15 + 16

  /// Unpacks gzip, several members in a row included.
  static func decompressGzip(
    from input: CInt, to output: CInt, limit: UInt64
  ) throws(DecompressionError) {
    // The decoder keeps the address of its stream: it must not move.
    let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    let source = UnsafeMutableRawBufferPointer.allocate(byteCount: inputSize, alignment: 16)
    let target = UnsafeMutableRawBufferPointer.allocate(byteCount: outputSize, alignment: 16)
    defer {
      unsafe inflateEnd(stream)
      unsafe stream.deallocate()
      unsafe source.deallocate()
      unsafe target.deallocate()
    }
    let started = unsafe inflateInit2_(
      stream, gzipWindowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard started == Z_OK else {
      throw DecompressionError(code: .outOfMemory, description: "no memory for a gzip decoder")
    }

    var total: UInt64 = 0
    // Between members, where the file may end.
    var isDone = false
    while true {
      let count = try unsafe read(input, into: source)
      if count == 0 { break }
      unsafe stream.pointee.next_in = source.baseAddress?.assumingMemoryBound(to: UInt8.self)
      unsafe stream.pointee.avail_in = UInt32(count)
      repeat {
        if isDone {
          // What follows the last member and is no member is padding of tapes (gzip(1)): zeros.
          while unsafe stream.pointee.avail_in > 0, unsafe stream.pointee.next_in.pointee == 0 {
            unsafe stream.pointee.next_in += 1
            unsafe stream.pointee.avail_in -= 1
          }
          if unsafe stream.pointee.avail_in == 0 { break }
          _ = unsafe inflateReset(stream)
          isDone = false
        }
        unsafe stream.pointee.next_out = target.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe stream.pointee.avail_out = UInt32(target.count)
        let result = unsafe inflate(stream, Z_NO_FLUSH)
        let produced = unsafe target.count - Int(stream.pointee.avail_out)
        try unsafe write(
          UnsafeRawBufferPointer(rebasing: target[..<produced]), to: output, total: &total,
          limit: limit)
        switch result {
        case Z_STREAM_END: isDone = true
        case Z_OK, Z_BUF_ERROR: break
        case Z_MEM_ERROR:
          throw DecompressionError(code: .outOfMemory, description: "no memory to unpack it")
        default:
          throw DecompressionError(code: .corrupt, description: "the gzip stream is damaged")
        }
      } while unsafe stream.pointee.avail_in > 0 || stream.pointee.avail_out == 0
    }
    guard isDone else {
      throw DecompressionError(code: .truncated, description: "the gzip stream is cut short")
    }
  }
}
