import Glibc

/// How a file is compressed, told by its first bytes and never by its name.
public enum CompressionFormat: String, Sendable, CaseIterable {
  case xz, zstd, gzip

  /// The format whose magic number `head` starts with: RFC 8878 for zstd, the .xz file format 1.1.0,
  /// RFC 1952 for gzip.
  public init?(head: [UInt8]) {
    if head.starts(with: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]) {
      self = .xz
    } else if head.starts(with: [0x28, 0xb5, 0x2f, 0xfd]) {
      self = .zstd
    } else if head.starts(with: [0x1f, 0x8b]) {
      self = .gzip
    } else {
      return nil
    }
  }
}

/// Why a compressed file could not be unpacked; each case holds the words for it.
public struct DecompressionError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Code: Sendable, Equatable {
    case unsupported, corrupt, truncated, tooLarge, readFailed, writeFailed, outOfMemory
  }

  public let code: Code
  public let description: String
}

/// Unpacks a whole file from one descriptor to another, a piece at a time.
public enum Decompressor {
  /// Bytes handed over per step; what is in memory at any time is this and the decoder's window.
  static let inputSize = 256 << 10
  static let outputSize = 1 << 20

  /// Unpacks everything behind the read position of `input` into `output`.
  ///
  /// - Parameter limit: bytes of output after which the file counts as hostile (a decompression bomb).
  public static func decompress(
    _ format: CompressionFormat, from input: CInt, to output: CInt, limit: UInt64
  ) throws(DecompressionError) {
    switch format {
    case .xz: try decompressXz(from: input, to: output, limit: limit)
    case .zstd: try decompressZstd(from: input, to: output, limit: limit)
    case .gzip: try decompressGzip(from: input, to: output, limit: limit)
    }
  }

  /// Fills `buffer` from `descriptor`; returns the number of bytes, 0 at the end of the file.
  static func read(
    _ descriptor: CInt, into buffer: UnsafeMutableRawBufferPointer
  ) throws(DecompressionError) -> Int {
    while true {
      let count = unsafe Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      if count >= 0 { return count }
      if errno == EINTR { continue }
      throw DecompressionError(
        code: .readFailed, description: "reading failed: \(SystemMessage.text(errno))")
    }
  }

  /// As below, for bytes of Swift's own.
  static func write(
    _ bytes: [UInt8], to descriptor: CInt, total: inout UInt64, limit: UInt64
  ) throws(DecompressionError) {
    let raw = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    defer { unsafe raw.deallocate() }
    unsafe raw.copyBytes(from: bytes)
    try unsafe write(UnsafeRawBufferPointer(raw), to: descriptor, total: &total, limit: limit)
  }

  /// Writes all of `bytes`, and checks the running total against the limit first.
  static func write(
    _ bytes: UnsafeRawBufferPointer, to descriptor: CInt, total: inout UInt64, limit: UInt64
  ) throws(DecompressionError) {
    total += UInt64(bytes.count)
    guard total <= limit else {
      throw DecompressionError(
        code: .tooLarge, description: "it unpacks to more than \(limit >> 20) MiB")
    }
    var done = 0
    while done < bytes.count {
      guard let base = bytes.baseAddress else { return }
      let count = unsafe Glibc.write(descriptor, base + done, bytes.count - done)
      if count > 0 {
        done += count
      } else if errno != EINTR {
        throw DecompressionError(
          code: .writeFailed,
          description: "storing the unpacked bytes failed: \(SystemMessage.text(errno))")
      }
    }
  }
}
