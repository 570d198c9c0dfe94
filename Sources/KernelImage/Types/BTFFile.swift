import Bytes
import CBpf
import CElfutils
import Glibc

/// A file of BTF alone, as the kernel shows its own in /sys/kernel/btf/vmlinux: struct layouts without
/// symbols or code.
public final class BTFFile {
  public let path: String
  let types: BTFTypes
  private let layout: StructLayout<BTFTypes>

  /// BTF of a kernel with every option on is some 10 MB.
  private static let sizeLimit = 256 << 20

  public init(path: String) throws(KernelImageError) {
    let bytes = try Self.contents(of: path)
    guard let types = unsafe bytes.withUnsafeBytes({ unsafe BTFTypes($0) }) else {
      throw KernelImageError(
        .notBTF, path, "is not BTF, or damaged; give /sys/kernel/btf/vmlinux of the arm64 host")
    }
    self.path = path
    self.types = types
    layout = StructLayout(source: types, image: path)
  }

  /// The file's bytes, unpacked if it is packed.
  private static func contents(of path: String) throws(KernelImageError) -> [UInt8] {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      throw KernelImageError(.unreadable, path, "cannot be opened: \(SystemMessage.text(errno))")
    }
    defer { close(descriptor) }
    InputFiles.note(descriptor)
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw KernelImageError(.notARegularFile, path, "is no regular file; give a file of BTF")
    }
    let bytes = try read(descriptor, path)
    guard let format = CompressionFormat(head: Array(bytes.prefix(64))) else { return bytes }
    let memory = unsafe anonymous_file("btf")
    guard memory >= 0 else {
      throw KernelImageError(.notUnpacked, path, "cannot be unpacked: \(SystemMessage.text(errno))")
    }
    defer { close(memory) }
    lseek(descriptor, 0, SEEK_SET)
    do throws(DecompressionError) {
      try Decompressor.decompress(format, from: descriptor, to: memory, limit: UInt64(sizeLimit))
    } catch {
      throw KernelImageError(
        .notUnpacked, path, "is \(format.rawValue) data that cannot be unpacked: \(error)")
    }
    lseek(memory, 0, SEEK_SET)
    return try read(memory, path)
  }

  /// All that is left of a file, read: sysfs does not map it before 6.16.
  private static func read(
    _ descriptor: CInt, _ path: String
  ) throws(KernelImageError) -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 20)
    while bytes.count <= sizeLimit {
      let count = unsafe Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        throw KernelImageError(.unreadable, path, "cannot be read: \(SystemMessage.text(errno))")
      }
      if count == 0 { break }
      bytes += chunk[..<count]
    }
    guard !bytes.isEmpty else { throw KernelImageError(.empty, path, "is empty") }
    guard bytes.count <= sizeLimit else {
      throw KernelImageError(.notBTF, path, "is larger than any kernel's BTF")
    }
    return bytes
  }

  /// Bytes from the start of a type to one of its members.
  public func offset(of path: String) throws(KernelImageError) -> UInt64 {
    try layout.offset(of: path)
  }

  /// Bytes of a struct, union, enumeration, typedef or base type.
  public func size(of type: String) throws(KernelImageError) -> UInt64 {
    try layout.size(of: type)
  }

  /// Value of an enumerator, of any enumeration if none is named.
  public func enumerator(_ name: String, in enumeration: String? = nil) -> Int64? {
    types.enumerator(name, in: enumeration)
  }
}
