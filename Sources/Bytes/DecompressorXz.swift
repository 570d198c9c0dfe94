import CLzma
import Glibc

extension Decompressor {
  /// Memory the decoder may take, in bytes: `xz -9` needs 65 MiB.
  private static let xzMemoryLimit: UInt64 = 1 << 30

  /// LZMA_CONCATENATED of lzma/container.h, a macro that Swift does not import.
  private static let concatenated: UInt32 = 0x08

  /// Unpacks .xz, several streams in a row included.
  static func decompressXz(
    from input: CInt, to output: CInt, limit: UInt64
  ) throws(DecompressionError) {
    // The decoder keeps the address of its stream: it must not move.
    let stream = UnsafeMutablePointer<lzma_stream>.allocate(capacity: 1)
    unsafe stream.initialize(to: lzma_stream())
    let source = UnsafeMutableRawBufferPointer.allocate(byteCount: inputSize, alignment: 16)
    let target = UnsafeMutableRawBufferPointer.allocate(byteCount: outputSize, alignment: 16)
    defer {
      unsafe lzma_end(stream)
      unsafe stream.deallocate()
      unsafe source.deallocate()
      unsafe target.deallocate()
    }
    let started = unsafe lzma_stream_decoder(stream, xzMemoryLimit, concatenated)
    guard started == LZMA_OK else { throw xzError(started) }

    var total: UInt64 = 0
    var action = LZMA_RUN
    while true {
      if unsafe stream.pointee.avail_in == 0, action == LZMA_RUN {
        let count = try unsafe read(input, into: source)
        unsafe stream.pointee.next_in = UnsafePointer(
          source.baseAddress?.assumingMemoryBound(to: UInt8.self))
        unsafe stream.pointee.avail_in = count
        if count == 0 { action = LZMA_FINISH }
      }
      unsafe stream.pointee.next_out = target.baseAddress?.assumingMemoryBound(to: UInt8.self)
      unsafe stream.pointee.avail_out = target.count
      let result = unsafe lzma_code(stream, action)
      let produced = unsafe target.count - stream.pointee.avail_out
      try unsafe write(
        UnsafeRawBufferPointer(rebasing: target[..<produced]), to: output, total: &total,
        limit: limit)
      if result == LZMA_STREAM_END { return }
      guard result == LZMA_OK else { throw xzError(result) }
    }
  }

  private static func xzError(_ result: lzma_ret) -> DecompressionError {
    switch result {
    case LZMA_MEM_ERROR, LZMA_MEMLIMIT_ERROR:
      DecompressionError(code: .outOfMemory, description: "unpacking it needs more than 1 GiB")
    case LZMA_BUF_ERROR:
      DecompressionError(code: .truncated, description: "the xz stream is cut short")
    case LZMA_OPTIONS_ERROR:
      DecompressionError(
        code: .unsupported, description: "it uses an xz filter that liblzma lacks")
    default:
      DecompressionError(code: .corrupt, description: "the xz stream is damaged")
    }
  }
}
