import Glibc

/// A folder in memory for the files of one target.
final class Scratch: Sendable {
  let path: String

  init?() {
    path = "/dev/shm/ptrauth-fuzz-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    guard makeFolder("") else { return nil }
  }

  /// Replaces the file of that name; folders in front of it must be there.
  @discardableResult
  func put(_ bytes: [UInt8], as name: String, at offset: Int? = nil) -> String {
    let file = "\(path)/\(name)"
    let flags = O_WRONLY | O_CREAT | (offset == nil ? O_TRUNC : 0)
    let descriptor = unsafe open(file, flags, 0o600)
    guard descriptor >= 0 else { return file }
    defer { close(descriptor) }
    _ = unsafe bytes.withUnsafeBytes {
      unsafe pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset ?? 0))
    }
    return file
  }

  @discardableResult
  func makeFolder(_ name: String) -> Bool { unsafe mkdir("\(path)/\(name)", 0o700) == 0 }

  /// Makes `bytes` the standard input.
  func putInStandardInput(_ bytes: [UInt8]) {
    let descriptor = unsafe open(put(bytes, as: "input"), O_RDONLY)
    guard descriptor >= 0 else { return }
    dup2(descriptor, STDIN_FILENO)
    close(descriptor)
  }

  static func bytes(_ path: String) -> [UInt8] {
    guard let file = unsafe fopen(path, "r") else { return [] }
    defer { unsafe fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe fread(&chunk, 1, chunk.count, file)
      if count == 0 { return bytes }
      bytes += chunk[..<count]
    }
  }

  static func names(in folder: String) -> [String] {
    guard let stream = unsafe opendir(folder) else { return [] }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafePointer(to: entry.pointee.d_name) {
        unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  func remove() { Self.remove(path) }

  private static func remove(_ path: String) {
    for name in names(in: path) { remove("\(path)/\(name)") }
    _ = unsafe Glibc.remove(path)
  }
}

extension [UInt8] {
  init(_ text: String) { self = Array(text.utf8) }
}
