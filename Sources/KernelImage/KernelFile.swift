import Bytes
import CElfutils
import Glibc

/// An open descriptor of the uncompressed image: the file itself, or anonymous memory it was unpacked to.
struct KernelFile: ~Copyable {
  let descriptor: CInt
  /// Bytes.
  let size: UInt64

  /// Bytes an image may unpack to. A vmlinux with all its DWARF is some 0.3 to 1.5 GB.
  static let unpackedLimit: UInt64 = 8 << 30

  /// Opens `path` and unpacks it if its first bytes say that it is compressed.
  ///
  /// A compressed file goes to a memfd, so that it is in memory once and its pages are libelf's mapping.
  init(path: String) throws(KernelImageError) {
    let opened = try KernelFile.open(path)
    var owned = opened.descriptor
    var bytes = opened.size
    do throws(KernelImageError) {
      let head = KernelFile.head(of: owned)
      if let format = CompressionFormat(head: head) {
        let unpacked = try KernelFile.unpack(owned, format, path)
        close(owned)
        owned = unpacked.descriptor
        bytes = unpacked.size
      }
      try KernelFile.requireELF(KernelFile.head(of: owned), path)
    } catch {
      close(owned)
      throw error
    }
    descriptor = owned
    size = bytes
  }

  deinit { close(descriptor) }

  private static func open(
    _ path: String
  ) throws(KernelImageError) -> (descriptor: CInt, size: UInt64) {
    // O_NONBLOCK: opening a FIFO must not wait for a writer.
    let descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      throw KernelImageError(.unreadable, path, "cannot be opened: \(SystemMessage.text(errno))")
    }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else {
      let reason = SystemMessage.text(errno)
      close(descriptor)
      throw KernelImageError(.unreadable, path, "cannot be read: \(reason)")
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      let kind = status.st_mode & S_IFMT == S_IFDIR ? "a directory" : "no regular file"
      throw KernelImageError(.notARegularFile, path, "is \(kind); give the vmlinux file itself")
    }
    guard status.st_size > 0 else {
      close(descriptor)
      throw KernelImageError(.empty, path, "is empty; fetch or build the vmlinux again")
    }
    InputFiles.note(descriptor)
    return (descriptor, UInt64(status.st_size))
  }

  private static func unpack(
    _ descriptor: CInt, _ format: CompressionFormat, _ path: String
  ) throws(KernelImageError) -> (descriptor: CInt, size: UInt64) {
    let memory = unsafe anonymous_file("vmlinux")
    guard memory >= 0 else {
      throw KernelImageError(.notUnpacked, path, "cannot be unpacked: \(SystemMessage.text(errno))")
    }
    do throws(DecompressionError) {
      try Decompressor.decompress(format, from: descriptor, to: memory, limit: unpackedLimit)
    } catch {
      close(memory)
      throw KernelImageError(
        .notUnpacked, path, "is \(format.rawValue) data that cannot be unpacked: \(error)")
    }
    let end = lseek(memory, 0, SEEK_END)
    return (memory, end > 0 ? UInt64(end) : 0)
  }

  /// The first 64 bytes, fewer in a shorter file; leaves the read position alone.
  private static func head(of descriptor: CInt) -> [UInt8] {
    var head = [UInt8](repeating: 0, count: 64)
    let count = unsafe pread(descriptor, &head, head.count, 0)
    return count > 0 ? Array(head[..<count]) : []
  }

  private static func requireELF(_ head: [UInt8], _ path: String) throws(KernelImageError) {
    if head.starts(with: [0x7f, 0x45, 0x4c, 0x46]) { return }
    if head.isEmpty { throw KernelImageError(.empty, path, "is empty when unpacked") }
    // Documentation/arch/arm64/booting.rst: magic "ARM\x64" at byte 56 of the boot image.
    if head.count >= 60, head[56...].starts(with: [0x41, 0x52, 0x4d, 0x64]) {
      throw KernelImageError(
        .notELF, path,
        "is a boot Image, not an ELF file; give the vmlinux of the same build (the -dbg package)")
    }
    // What it says is nobody's business: beside a stranger's recording it can be a link to anything.
    let isText = head.prefix(16).allSatisfy { $0 == 9 || $0 == 10 || (32..<127).contains($0) }
    let shown =
      isText
      ? "is text, not an ELF file"
      : "is not an ELF file (it starts with "
        + head.prefix(4).map { hex($0, digits: 2) }.joined(separator: " ") + ")"
    throw KernelImageError(.notELF, path, "\(shown); give a vmlinux")
  }
}

/// `value` in base 16, padded with zeros to `digits`.
func hex(_ value: some BinaryInteger, digits: Int = 1) -> String {
  let text = String(value, radix: 16)
  return String(repeating: "0", count: max(0, digits - text.count)) + text
}
