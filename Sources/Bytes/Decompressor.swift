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

  /// Bytes that any file may unpack to, however small it is.
  package static let freeSize: UInt64 = 64 << 20
  /// Beyond these, how many times its own size: recordings and kernels unpack to 5 to 60 times theirs, a
  /// bomb of zeros to thousands.
  package static let ratioLimit: UInt64 = 256

  /// Bytes that a file of `size` bytes may unpack to.
  package static func bound(ofSize size: UInt64) -> UInt64 {
    let (product, overflow) = size.multipliedReportingOverflow(by: ratioLimit)
    return overflow ? .max : max(freeSize, product)
  }

  /// Unpacks everything behind the read position of `input` into `output`.
  ///
  /// - Parameter limit: bytes of output that are too many for any file. Fewer are for one that is small: what
  ///   unpacks to more than ``ratioLimit`` times its size is a decompression bomb.
  public static func decompress(
    _ format: CompressionFormat, from input: CInt, to output: CInt, limit: UInt64
  ) throws(DecompressionError) {
    var status = stat()
    let size = unsafe fstat(input, &status) == 0 ? UInt64(max(0, status.st_size)) : 0
    let bound = min(limit, bound(ofSize: size))
    do throws(DecompressionError) {
      switch format {
      case .xz: try decompressXz(from: input, to: output, limit: bound)
      case .zstd: try decompressZstd(from: input, to: output, limit: bound)
      case .gzip: try decompressGzip(from: input, to: output, limit: bound)
      }
    } catch {
      guard error.code == .tooLarge, bound < limit else { throw error }
      throw DecompressionError(
        code: .tooLarge,
        description:
          "it unpacks to more than \(ratioLimit) times its size (\(bound >> 20) MiB), as "
          + "no recording and no kernel does; unpack it yourself if you trust it")
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
