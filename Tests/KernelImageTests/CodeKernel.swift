import Glibc
import Testing

/// A kernel's code for the audit: of distributions and compilers that no recording was made on too.
struct CodeKernel: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let generation: String
  /// Packed with xz, from the package's root.
  let path: String

  static let all = [
    CodeKernel(testDescription: "5.10", generation: "5.9", path: "traces/kernel-code/deb-5.10.xz"),
    CodeKernel(
      testDescription: "6.1", generation: "5.16", path: "traces/deb-6.1-good/vmlinux.slim.zst"),
    CodeKernel(testDescription: "6.12", generation: "6.10", path: "traces/kernel-code/deb-6.12.xz"),
    CodeKernel(
      testDescription: "6.1 by Clang 19", generation: "5.16",
      path: "../shared/cases/clang-kernels/part-c19-6.1.xz"),
    CodeKernel(
      testDescription: "6.12 by Clang 19, LTO, memory tags", generation: "6.10",
      path: "../shared/cases/clang-kernels/part-c19lto-6.12-swtags-inline.xz"),
  ]

  private var absolute: String { "\(RecordedKernel.packageRoot)/\(path)" }
  var isPresent: Bool { unsafe access(absolute, R_OK) == 0 }
  static let missing: Comment = "the kernel (../shared/cases) is not beside the package"

  /// The plain file, in a directory of the caller's.
  func unpacked(in scratch: Scratch) throws -> String {
    let plain = scratch.path + "/plain"
    try run("/bin/sh", ["-c", "exec zstd -qdc < '\(absolute)' > '\(plain)'"])
    return plain
  }
}
