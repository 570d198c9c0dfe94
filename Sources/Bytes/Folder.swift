import Glibc

/// Names in a directory, and small files that say nothing true about their size (tracefs, procfs).
package enum Folder {
  /// Names in the directory, in the order of their bytes, "." and ".." left out; nil when it cannot
  /// be read.
  package static func names(in path: String) -> [String]? {
    guard let stream = unsafe opendir(path) else { return nil }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { field in
        unsafe field.withMemoryRebound(to: CChar.self, capacity: 256) {
          unsafe String(cString: $0)
        }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Both paths lead to one file.
  package static func isSameFile(_ a: String, _ b: String) -> Bool {
    var one = stat()
    var other = stat()
    guard unsafe stat(a, &one) == 0, unsafe stat(b, &other) == 0 else { return false }
    return one.st_dev == other.st_dev && one.st_ino == other.st_ino
  }

  /// The first of these paths that leads to the same file as one before it.
  package static func firstTwice(in paths: [String]) -> String? {
    var names: Set<String> = []
    var files: Set<[UInt64]> = []
    return paths.first { path in
      var status = stat()
      let isNone = unsafe stat(path, &status) != 0
      let isFile = path != "-" && !isNone
      let isNew = isFile && files.insert([UInt64(status.st_dev), UInt64(status.st_ino)]).inserted
      return !names.insert(path).inserted || isFile && !isNew
    }
  }

  /// Where `path` leads once all symbolic links are followed is below `folder`; false when it leads nowhere.
  package static func isInside(_ path: String, _ folder: String) -> Bool {
    guard let place = resolved(path), let root = resolved(folder) else { return false }
    return root == "/" || place.hasPrefix(root + "/")
  }

  private static func resolved(_ path: String) -> String? {
    guard let found = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(found) }
    return unsafe String(cString: found)
  }

  package static func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Up to `count` bytes from its beginning; nil when it cannot be read.
  package static func head(of path: String, count: Int) -> [UInt8]? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    InputFiles.note(descriptor)
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: min(count, 1 << 16))
    while bytes.count < count {
      let got = unsafe read(descriptor, &buffer, min(buffer.count, count - bytes.count))
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else { return nil }
      if got == 0 { break }
      bytes.append(contentsOf: buffer[..<got])
    }
    return bytes
  }

  /// When it was last written, in seconds since 1970; nil when that cannot be known.
  package static func modified(_ path: String) -> Int64? {
    var status = stat()
    return unsafe stat(path, &status) == 0 ? Int64(status.st_mtim.tv_sec) : nil
  }

  /// The bytes of a file; nil when it cannot be read or has more than `limit` bytes.
  package static func contents(_ path: String, limit: Int) -> [UInt8]? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    InputFiles.note(descriptor)
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 14)
    while true {
      let count = unsafe read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0, bytes.count + count <= limit else { return nil }
      if count == 0 { return bytes }
      bytes.append(contentsOf: buffer[..<count])
    }
  }
}
