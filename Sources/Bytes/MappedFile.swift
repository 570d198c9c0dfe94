import Glibc

/// A regular file mapped read-only for as long as the value lives.
///
/// A file that another process shortens while it is mapped raises SIGBUS on access: recordings are
/// mapped once they are complete.
@safe public struct MappedFile: ~Copyable {
  private let base: UnsafeRawPointer?
  /// Size in bytes, as it was when the file was opened.
  public let byteCount: Int

  /// Why a file could not be mapped.
  public enum Failure: Error, Equatable {
    /// `open`, `fstat` or `mmap` failed with this `errno`.
    case system(Int32)
    /// The path names a directory.
    case isDirectory
    /// The path names a pipe, a socket or a device.
    case isNotRegular
  }

  /// Maps the whole of the file at `path`.
  public init(path: String) throws(Failure) {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system(errno) }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw .system(errno) }
    if status.st_mode & S_IFMT == S_IFDIR { throw .isDirectory }
    guard status.st_mode & S_IFMT == S_IFREG else { throw .isNotRegular }
    let size = Int(status.st_size)
    var start: UnsafeRawPointer?
    if size > 0 {
      let mapping = unsafe mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0)
      guard let mapping = unsafe mapping, unsafe mapping != MAP_FAILED else {
        throw .system(errno)
      }
      unsafe madvise(mapping, size, MADV_SEQUENTIAL)
      unsafe start = UnsafeRawPointer(mapping)
    }
    unsafe base = start
    byteCount = size
  }

  deinit {
    if let base = unsafe base {
      unsafe munmap(UnsafeMutableRawPointer(mutating: base), byteCount)
    }
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
