import Glibc
import KernelImage
import Testing
import ptrauth_trace

/// A copy of a kernel in which some instructions are others; its build-id stays.
final class ChangedVmlinux {
  let path: String

  /// - Parameter change: the new instructions, by their index from the symbol on.
  init(
    _ vmlinux: String, at symbol: String, count: Int = 96,
    _ change: ([UInt32]) -> [Int: UInt32]
  ) throws {
    path = "/tmp/ptrauth-trace-vmlinux-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    let plain = try Program.run("sh", ["-c", "zstd -qdc < '\(vmlinux)' > '\(path)'"])
    try #require(plain.code == 0, "\(plain.errors)")
    let image = try KernelImage(path: path)
    let address = try #require(image.addresses(of: symbol).first)
    let words = try #require(image.code(at: address, count: count))
    // The code lies in the file as it is: found by its own bytes.
    let bytes = Corpus.bytes(path)
    let place = try #require(bytes.firstRange(of: words.flatMap(Self.bytes)))
    let descriptor = unsafe open(path, O_WRONLY)
    defer { close(descriptor) }
    for (index, word) in change(words) {
      var little = word.littleEndian
      try #require(
        unsafe pwrite(descriptor, &little, 4, off_t(place.lowerBound + index * 4)) == 4)
    }
  }

  deinit { unsafe unlink(path) }

  private static func bytes(_ word: UInt32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
  }
}

extension [UInt32] {
  /// MSR of a key register.
  var keyWrites: [Int] { indices.filter { self[$0] & 0xffff_f000 == 0xd518_2000 } }
}
