private import CLinux
import Glibc

/// A regular file in the making, that takes its name only when it is done.
///
/// It has no name at all meanwhile where the file system can do that, so that nothing is left of it if the
/// process is killed.
final class FileReplacement {
  private(set) var descriptor: Int32
  private let path: String
  /// Where the path leads through symbolic links.
  private let target: String
  private let directory: String
  /// Its name until it is done; nil: it has none.
  private var temporary: String?

  /// nil if `path` is to be written in place: no regular file (a device, a FIFO), a link that leads nowhere,
  /// or a file in a directory where none can be made.
  init?(of path: String) throws(ByteSinkError) {
    var status = stat()
    let exists = unsafe stat(path, &status) == 0
    if exists {
      if status.st_mode & S_IFMT != S_IFREG { return nil }
      if InputFiles.contains(path, status) { throw ByteSinkError(path: path, code: 0) }
      // A file that must not be written is not replaced either.
      if unsafe access(path, W_OK) != 0 { throw ByteSinkError(path: path, code: errno) }
      guard let resolved = unsafe realpath(path, nil) else { return nil }
      target = unsafe String(cString: resolved)
      unsafe free(resolved)
    } else {
      var link = stat()
      if unsafe lstat(path, &link) == 0 { return nil }
      target = path
    }
    self.path = path
    let parts = target.split(separator: "/", omittingEmptySubsequences: false).dropLast()
    let place = parts.joined(separator: "/")
    directory = parts.isEmpty ? "." : place.isEmpty ? "/" : place
    descriptor = unsafe unnamed_file(directory)
    if descriptor < 0 {
      let name = Self.name(in: directory)
      descriptor = unsafe open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
      if descriptor < 0 {
        if exists { return nil }
        throw ByteSinkError(path: path, code: errno)
      }
      temporary = name
    }
    if exists { fchmod(descriptor, status.st_mode & 0o7777) }
  }

  private static func name(in directory: String) -> String {
    "\(directory)/.ptrauth-trace-\(getpid())-\(UInt32.random(in: 0 ... .max))"
  }

  func commit() throws(ByteSinkError) {
    guard descriptor >= 0 else { return }
    var status = stat()
    if unsafe stat(target, &status) == 0, InputFiles.contains(target, status) {
      throw ByteSinkError(path: path, code: 0)
    }
    if temporary == nil {
      let name = Self.name(in: directory)
      guard
        unsafe linkat(AT_FDCWD, "/proc/self/fd/\(descriptor)", AT_FDCWD, name, AT_SYMLINK_FOLLOW)
          == 0
      else { throw ByteSinkError(path: path, code: errno) }
      temporary = name
    }
    // What a full disk or a quota says late.
    let closed = close(descriptor)
    descriptor = -1
    guard closed == 0, let name = temporary, unsafe rename(name, target) == 0 else {
      throw ByteSinkError(path: path, code: errno)
    }
    temporary = nil
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
    if let temporary { unsafe unlink(temporary) }
  }
}
