import Glibc

/// A system call on a file failed.
public struct SystemFileError: Error, Sendable, CustomStringConvertible {
  /// "cannot be written".
  public var what: String
  public var path: String
  /// errno.
  public var code: Int32

  init(_ what: String, _ path: String) {
    code = errno
    self.what = what
    self.path = path
  }

  public var description: String { "\(path) \(what): \(SystemMessage.text(code))" }
}

/// Small files that are read and written whole, as those of tracefs and /proc are.
public enum SystemFile {
  public static func read(_ path: String) throws(SystemFileError) -> [UInt8] {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw SystemFileError("cannot be opened", path) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 18)
    while true {
      let count = unsafe Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw SystemFileError("cannot be read", path) }
      if count == 0 { return bytes }
      bytes += chunk[..<count]
    }
  }

  public static func text(_ path: String) throws(SystemFileError) -> String {
    String(decoding: try read(path), as: UTF8.self)
  }

  /// Writes `text` with one call to a file that exists, as tracefs wants it.
  public static func write(
    _ text: String, to path: String, appends: Bool = false
  ) throws(SystemFileError) {
    let flags = O_WRONLY | O_CLOEXEC | (appends ? O_APPEND : O_TRUNC)
    let descriptor = unsafe open(path, flags)
    guard descriptor >= 0 else { throw SystemFileError("cannot be opened for writing", path) }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    let count = unsafe bytes.withUnsafeBytes {
      unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
    }
    guard count == bytes.count else {
      let words = text.split(separator: "\n").joined(separator: " ")
      throw SystemFileError("does not take \"\(words)\"", path)
    }
  }

  public static func makeDirectory(_ path: String) throws(SystemFileError) {
    guard unsafe mkdir(path, 0o700) == 0 else { throw SystemFileError("cannot be made", path) }
  }

  public static func rename(_ path: String, to new: String) throws(SystemFileError) {
    guard unsafe Glibc.rename(path, new) == 0 else {
      throw SystemFileError("cannot be renamed to \(new)", path)
    }
  }

  public static func remove(_ path: String) { _ = unsafe unlink(path) }

  public static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

  /// Names in a directory, sorted; none if it cannot be read.
  public static func names(in path: String) -> [String] {
    guard let directory = unsafe opendir(path) else { return [] }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { place in
        unsafe place.withMemoryRebound(to: CChar.self, capacity: 256) {
          unsafe String(cString: $0)
        }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Bytes that may still be written to the file system of `path`; nil when it does not say.
  public static func freeBytes(at path: String) -> UInt64? {
    var status = statvfs()
    guard unsafe statvfs(path, &status) == 0 else { return nil }
    return UInt64(status.f_bavail) * UInt64(status.f_frsize)
  }

  /// Appends the file at `path` to `sink`.
  public static func copy(_ path: String, to sink: ByteSink) throws {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw SystemFileError("cannot be opened", path) }
    defer { close(descriptor) }
    var chunk = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = unsafe Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw SystemFileError("cannot be read", path) }
      if count == 0 { return }
      try sink.write(Array(chunk[..<count]))
    }
  }

  public static var processID: Int32 { getpid() }

  public static var isRoot: Bool { geteuid() == 0 }
}
