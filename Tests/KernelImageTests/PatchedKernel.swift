import Glibc
import KernelImage
import Testing

/// A copy of a recorded kernel whose instructions can be changed and put back.
final class PatchedKernel {
  let path: String
  private let scratch: Scratch
  private let sections: [(address: UInt64, offset: UInt64, size: UInt64)]
  private let original: KernelImage

  convenience init(_ kernel: RecordedKernel) throws { try self.init(plain: kernel.plainPath()) }

  /// - Parameter plain: an unpacked vmlinux.
  init(plain: String) throws {
    scratch = try Scratch()
    path = scratch.path + "/vmlinux"
    try run("cp", [plain, path])
    original = try KernelImage(path: plain)
    sections = try KernelImageTests.run("readelf", ["-SW", plain]).split(separator: "\n")
      .compactMap { line in
        // "[ 2] .text PROGBITS ffff800008010000 020000 445558 08 AX ..."
        let words = line.split(separator: "]").last?.split(separator: " ") ?? []
        guard words.count > 6, words[1] == "PROGBITS", words[6].contains("X"),
          let address = UInt64(words[2], radix: 16), let offset = UInt64(words[3], radix: 16),
          let size = UInt64(words[4], radix: 16)
        else { return nil }
        return (address, offset, size)
      }
  }

  /// Instructions from a symbol on.
  func words(from symbol: String, count: Int) throws -> (address: UInt64, words: [UInt32]) {
    let address = try #require(original.addresses(of: symbol).first)
    return (address, try #require(original.code(at: address, count: count)))
  }

  /// Asks for the audit with some instructions replaced.
  func audit<Result>(
    with changes: [UInt64: UInt32], _ body: (KernelImage) throws -> Result
  ) throws -> Result {
    try put(changes)
    defer {
      for address in changes.keys {
        if let word = original.code(at: address, count: 1)?.first { try? put([address: word]) }
      }
    }
    return try body(KernelImage(path: path))
  }

  private func put(_ changes: [UInt64: UInt32]) throws {
    let descriptor = unsafe open(path, O_WRONLY)
    defer { close(descriptor) }
    for (address, word) in changes {
      let section = try #require(
        sections.first { $0.address <= address && address - $0.address < $0.size })
      var little = word.littleEndian
      let place = off_t(section.offset + address - section.address)
      try #require(unsafe pwrite(descriptor, &little, 4, place) == 4)
    }
  }
}
