private import CZlib
private import CZstd

/// Compresses blocks that are each compressed by themselves, as ``BlockDecoder`` reads them.
package enum BlockEncoder {
  /// The compressed block; nil when there is no memory for it.
  package static func encode(_ block: [UInt8], _ format: BlockDecoder.Format) -> [UInt8]? {
    switch format {
    case .zstd:
      var output = [UInt8](repeating: 0, count: ZSTD_compressBound(block.count))
      let count = unsafe ZSTD_compress(
        &output, output.count, block, block.count, ZSTD_CLEVEL_DEFAULT)
      guard ZSTD_isError(count) == 0 else { return nil }
      return Array(output[..<count])
    case .zlib:
      var count = compressBound(UInt(block.count))
      var output = [UInt8](repeating: 0, count: Int(count))
      guard unsafe compress(&output, &count, block, UInt(block.count)) == Z_OK else { return nil }
      return Array(output[..<Int(count)])
    }
  }
}
