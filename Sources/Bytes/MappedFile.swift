private import CLinux
import Glibc

/// A regular file, or several in a row, mapped read-only for as long as the value lives.
///
/// A file that another process shortens while it is mapped raises SIGBUS on access: see ``MappedRanges``.
@safe public struct MappedFile: ~Copyable, @unchecked Sendable {
  private let base: UnsafeRawPointer?
  /// Size in bytes, as it was when the file was opened.
  public let byteCount: Int
  /// Where each file lies in ``bytes``: the whole, unless several were mapped.
  package let parts: [Range<Int>]
  /// How the file on disk is compressed; ``bytes`` are the unpacked ones.
  package let compression: CompressionFormat?

  /// Why a file could not be mapped.
  public enum Failure: Error, Equatable {
    /// `open`, `fstat` or `mmap` failed with this `errno`.
    case system(Int32)
    /// The path names a directory.
    case isDirectory
    /// The path names a pipe, a socket or a device.
    case isNotRegular
    /// The file is compressed and could not be unpacked.
    case unpacking(DecompressionError)
  }

  /// Maps the whole of the file at `path`; "-" is standard input, which must be a regular file.
  ///
  /// - Parameter unpackedLimit: a compressed file is unpacked to memory, if it has no more bytes than
  ///   this then; 0: it is mapped as it is.
  public init(path: String, unpackedLimit: UInt64 = 0) throws(Failure) {
    try self.init(try OpenFile(path), unpackedLimit: unpackedLimit)
  }

  /// Maps the file at `path`, or some of the beginning of it if it is packed and unpacks to more than
  /// `limit` bytes.
  package init(headOf path: String, limit: UInt64) throws(Failure) {
    try self.init(try OpenFile(path), unpackedLimit: limit, isHead: true)
  }

  /// Reads all of `stream` to memory, where it is unpacked; what lies there is then like a file.
  ///
  /// - Parameter limit: bytes that the stream may have, and that it may unpack to.
  package init(unpacking stream: borrowing ByteStream, limit: UInt64) throws(Failure) {
    try self.init(try OpenFile(stream, limit: limit), unpackedLimit: limit)
  }

  private init(
    _ opened: OpenFile, unpackedLimit: UInt64, isHead: Bool = false
  ) throws(Failure) {
    var file = opened
    let found = unpackedLimit > 0 ? file.compression : nil
    if let found {
      file = try OpenFile(unpacking: file, found, limit: unpackedLimit, isHead: isHead)
    }
    var start: UnsafeRawPointer?
    if file.byteCount > 0 {
      let mapping = unsafe mmap(nil, file.byteCount, PROT_READ, MAP_PRIVATE, file.descriptor, 0)
      guard let mapping = unsafe mapping, unsafe mapping != MAP_FAILED else {
        throw .system(errno)
      }
      unsafe madvise(mapping, file.byteCount, MADV_SEQUENTIAL)
      unsafe start = UnsafeRawPointer(mapping)
      unsafe MappedRanges.note(
        UnsafeRawPointer(mapping), file.byteCount, file.descriptor, file.path)
    }
    unsafe base = start
    byteCount = file.byteCount
    parts = [0..<file.byteCount]
    compression = found
  }

  /// Bytes of this process.
  package init(memory bytes: [UInt8]) throws(Failure) {
    try self.init(try OpenFile(bytes), unpackedLimit: 0)
  }

  /// No bytes at all.
  package init() {
    unsafe base = nil
    byteCount = 0
    parts = []
    compression = nil
  }

  /// Maps the files at `paths` one behind another, each at the start of a page; between them are zeros.
  ///
  /// - Parameter unpackedLimit: as above, for each.
  package init(paths: [String], unpackedLimit: UInt64 = 0) throws(Failure) {
    let page = max(4096, Int(sysconf(Int32(_SC_PAGESIZE))))
    var places: [Range<Int>] = []
    var total = 0
    // Unpacked files live as long as they are open.
    var unpacked: [Int: OpenFile] = [:]
    var found: CompressionFormat?
    for (number, path) in paths.enumerated() {
      var file = try OpenFile(path)
      if unpackedLimit > 0, let format = file.compression {
        file = try OpenFile(unpacking: file, format, limit: unpackedLimit)
        unpacked[number] = file
        found = format
      }
      let size = file.byteCount
      let (end, overflow) = total.addingReportingOverflow(size)
      guard !overflow, end < Int.max - page else { throw .system(EFBIG) }
      places.append(total..<end)
      total = (end + page - 1) / page * page
    }
    guard total > 0 else {
      unsafe base = nil
      byteCount = 0
      parts = places
      compression = nil
      return
    }
    // The address space of all first, then each file in its place.
    let reserved = unsafe mmap(
      nil, total, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let reserved = unsafe reserved, unsafe reserved != MAP_FAILED else {
      throw .system(errno)
    }
    for (index, place) in places.enumerated() where !place.isEmpty {
      var number: Int32 = 0
      do throws(Failure) {
        let file: OpenFile
        if let known = unpacked[index] { file = known } else { file = try OpenFile(paths[index]) }
        let mapping = unsafe mmap(
          reserved + place.lowerBound, min(place.count, file.byteCount), PROT_READ,
          MAP_PRIVATE | MAP_FIXED, file.descriptor, 0)
        if unsafe mapping == MAP_FAILED {
          number = errno
        } else if let mapping = unsafe mapping {
          unsafe MappedRanges.note(
            UnsafeRawPointer(mapping), place.count, file.descriptor, file.path)
        }
      } catch {
        unsafe MappedRanges.forget(UnsafeRawPointer(reserved), total)
        unsafe munmap(reserved, total)
        throw error
      }
      guard number == 0 else {
        unsafe MappedRanges.forget(UnsafeRawPointer(reserved), total)
        unsafe munmap(reserved, total)
        throw .system(number)
      }
    }
    unsafe base = UnsafeRawPointer(reserved)
    byteCount = total
    parts = places
    compression = found
  }

  deinit {
    if let base = unsafe base {
      unsafe MappedRanges.forget(base, byteCount)
      unsafe munmap(UnsafeMutableRawPointer(mutating: base), byteCount)
    }
  }

  /// The pages that were read are no longer this process's memory; what is asked for again is read again.
  ///
  /// To be called now and then on a way through a file that is larger than memory should be.
  package func giveBackPages() {
    guard let base = unsafe base else { return }
    unsafe madvise(UnsafeMutableRawPointer(mutating: base), byteCount, MADV_DONTNEED)
  }

  /// The bytes of the file.
  public var bytes: RawSpan {
    @_lifetime(borrow self)
    get {
      guard let base = unsafe base else { return RawSpan() }
      let span = unsafe RawSpan(_unsafeStart: base, byteCount: byteCount)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }
}

/// A regular file that is open for reading.
private final class OpenFile {
  let descriptor: CInt
  let byteCount: Int
  /// nil: it is memory of this process.
  let path: String?

  init(_ path: String) throws(MappedFile.Failure) {
    self.path = path == "-" ? "standard input" : path
    // O_NONBLOCK: opening a FIFO must not wait for a writer.
    let opened =
      unsafe path == "-"
      ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    var status = stat()
    var problem: MappedFile.Failure?
    if unsafe opened < 0 || fstat(opened, &status) != 0 {
      problem = .system(errno)
    } else if status.st_mode & S_IFMT == S_IFDIR {
      problem = .isDirectory
    } else if status.st_mode & S_IFMT != S_IFREG {
      problem = .isNotRegular
    }
    descriptor = opened
    byteCount = Int(status.st_size)
    InputFiles.note(opened)
    if let problem { throw problem }
  }

  /// How its first bytes say that it is packed.
  var compression: CompressionFormat? {
    var head = [UInt8](repeating: 0, count: 8)
    let count = unsafe pread(descriptor, &head, head.count, 0)
    return CompressionFormat(head: Array(head.prefix(max(0, count))))
  }

  /// An unnamed file in memory with the unpacked bytes of `packed`.
  init(
    unpacking packed: OpenFile, _ format: CompressionFormat, limit: UInt64, isHead: Bool = false
  ) throws(MappedFile.Failure) {
    let memory = unsafe unnamed_memory_file("recording")
    var problem: MappedFile.Failure?
    if memory < 0 {
      problem = .system(errno)
    } else {
      lseek(packed.descriptor, 0, SEEK_SET)
      do throws(DecompressionError) {
        try Decompressor.decompress(format, from: packed.descriptor, to: memory, limit: limit)
      } catch {
        if !isHead || error.code != .tooLarge { problem = .unpacking(error) }
      }
    }
    path = nil
    descriptor = memory
    byteCount = max(0, Int(lseek(memory, 0, SEEK_END)))
    if let problem { throw problem }
  }

  /// An unnamed file in memory with these bytes.
  init(_ bytes: [UInt8]) throws(MappedFile.Failure) {
    let memory = unsafe unnamed_memory_file("text")
    var problem: MappedFile.Failure? = memory < 0 ? .system(errno) : nil
    var total: UInt64 = 0
    if problem == nil {
      do throws(DecompressionError) {
        try Decompressor.write(bytes, to: memory, total: &total, limit: .max)
      } catch {
        problem = .unpacking(error)
      }
    }
    path = nil
    descriptor = memory
    byteCount = Int(clamping: total)
    if let problem { throw problem }
  }

  /// An unnamed file in memory with all bytes of `stream`.
  init(_ stream: borrowing ByteStream, limit: UInt64) throws(MappedFile.Failure) {
    let memory = unsafe unnamed_memory_file("recording")
    var problem: MappedFile.Failure? = memory < 0 ? .system(errno) : nil
    var total: UInt64 = 0
    reading: while problem == nil {
      do throws(ByteStream.Failure) {
        switch try stream.next(limit: Decompressor.outputSize) {
        case .bytes(let bytes):
          do throws(DecompressionError) {
            try Decompressor.write(bytes, to: memory, total: &total, limit: limit)
          } catch {
            problem = .unpacking(error)
          }
        case .silence: continue
        case .end: break reading
        }
      } catch {
        problem = .system(error.number)
      }
    }
    path = nil
    descriptor = memory
    byteCount = Int(clamping: total)
    if let problem { throw problem }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }
}
