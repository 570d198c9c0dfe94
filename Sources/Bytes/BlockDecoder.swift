private import CZlib
private import CZstd

/// Decompresses blocks that are each compressed by themselves, one call a block.
@safe package final class BlockDecoder {
  /// How the blocks of a file are compressed.
  package enum Format: String, Sendable, CaseIterable { case zstd, zlib }

  /// Why a block cannot be decompressed.
  package struct Failure: Error {
    package var reason: String
    package init(reason: String) { self.reason = reason }
  }

  private let format: Format
  /// The zstd context, nil with zlib.
  private let context: OpaquePointer?

  package init(_ format: Format) throws(Failure) {
    var made: OpaquePointer?
    if format == .zstd {
      unsafe made = ZSTD_createDCtx()
      guard unsafe made != nil else { throw Failure(reason: "out of memory") }
    }
    self.format = format
    unsafe context = made
  }

  deinit { if let context = unsafe context { _ = unsafe ZSTD_freeDCtx(context) } }

  /// Decompresses the whole of `block` to the start of `output`; returns the number of bytes.
  @unsafe func decode(
    _ block: RawSpan, into output: UnsafeMutableRawBufferPointer
  ) throws(Failure) -> Int {
    let context = unsafe self.context
    switch format {
    case .zstd:
      let result = unsafe block.withUnsafeBytes { source in
        unsafe ZSTD_decompressDCtx(
          context, output.baseAddress, output.count, source.baseAddress, source.count)
      }
      guard ZSTD_isError(result) == 0 else {
        guard let name = unsafe ZSTD_getErrorName(result) else { throw Failure(reason: "zstd") }
        throw unsafe Failure(reason: "zstd: " + String(cString: name))
      }
      return result
    case .zlib:
      var count = UInt(output.count)
      let result = unsafe block.withUnsafeBytes { source in
        unsafe uncompress(
          output.baseAddress?.assumingMemoryBound(to: UInt8.self), &count,
          source.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt(source.count))
      }
      guard result == Z_OK else { throw Failure(reason: "zlib: error \(result)") }
      return Int(count)
    }
  }
}
