import Glibc
import KernelImage
import Synchronization
import Testing

/// A recorded kernel: those of traces/, and those kept beside the package.
enum RecordedKernel: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case v7
  case debian61 = "deb-6.1"
  case debian612 = "deb-6.12"

  var testDescription: String { rawValue }

  static let missing: Comment = "the recordings (../shared/recordings) are not beside the package"

  /// The package root, three levels above this file.
  static let packageRoot = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" }

  /// What the kernels' folders say of them is beside the package.
  static var areDescribed: Bool {
    allCases.allSatisfy { unsafe access($0.directory + "/vmlinux.slim.xz", R_OK) == 0 }
  }

  /// The kernels with an image at hand; v7 and deb-6.1 always.
  static var present: [RecordedKernel] {
    allCases.filter { unsafe access($0.compressedPath, R_OK) == 0 || $0 != .debian612 }
  }

  var directory: String { "\(Self.packageRoot)/../shared/recordings/kernels/\(rawValue)" }

  var compressedPath: String {
    switch self {
    case .v7: "\(Self.packageRoot)/traces/v7-good/vmlinux.slim.zst"
    case .debian61: "\(Self.packageRoot)/traces/deb-6.1-good/vmlinux.slim.zst"
    case .debian612: directory + "/vmlinux.slim.xz"
    }
  }

  /// As reference-model.md and the folders' READMEs name it.
  var generation: String {
    switch self {
    case .v7: "v7"
    case .debian61: "5.16"
    case .debian612: "6.10"
    }
  }

  /// The plain file, unpacked once per test run.
  func plainPath() throws -> String { try Unpacked.path(of: self) }

  func open() throws -> KernelImage { try KernelImage(path: plainPath()) }

  func text(of file: String) throws -> String { try readText("\(directory)/\(file)") }
}

/// Plain copies of the recorded kernels in a scratch directory, removed when the process ends.
private enum Unpacked {
  private static let paths = Mutex<[RecordedKernel: String]>([:])

  static func path(of kernel: RecordedKernel) throws -> String {
    try paths.withLock { paths in
      if let path = paths[kernel] { return path }
      let path = try Scratch.forProcess() + "/vmlinux-" + kernel.rawValue
      try run("/bin/sh", ["-c", "exec zstd -qdc < '\(kernel.compressedPath)' > '\(path)'"])
      paths[kernel] = path
      return path
    }
  }
}
