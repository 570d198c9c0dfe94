import Bytes
import Glibc

/// debuginfod, through the client program of elfutils if it is installed.
///
/// A program and not a library: libdebuginfod brings libcurl with it, and a statically linked program cannot load
/// one. The program reads DEBUGINFOD_URLS, DEBUGINFOD_TIMEOUT and DEBUGINFOD_CACHE_PATH by itself.
struct Debuginfod {
  static let program = "debuginfod-find"

  /// PATH, as a shell has it.
  let searchPath: String

  /// The cached copy of the debug file with that build-id, fetched if need be.
  func file(_ buildID: [UInt8]) throws(KernelImageError) -> String {
    guard let program else {
      throw KernelImageError(
        .notAsked, Self.program,
        "is not on PATH, so the servers of DEBUGINFOD_URLS were not asked for the vmlinux; install it "
          + "(Debian: apt install debuginfod), or fetch the file elsewhere and pass it with -k")
    }
    let digits = hexadecimal(buildID)
    guard
      let output = ChildProcess.output(
        of: program, ["debuginfo", digits], input: [], limit: 1 << 16)
    else {
      throw KernelImageError(
        .notServed, Self.program,
        "got no debug file with build-id \(digits) from the servers of DEBUGINFOD_URLS; "
          + "`\(Self.program) -v debuginfo \(digits)` says why")
    }
    let path = String(decoding: output.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    guard path.hasPrefix("/") else {
      throw KernelImageError(.notServed, Self.program, "printed no path of a file")
    }
    return path
  }

  /// In a directory of PATH that is named from the root: a recording's own directory, where one may stand, is never
  /// looked into.
  private var program: String? {
    searchPath.split(separator: ":").lazy.filter { $0.hasPrefix("/") }
      .map { "\($0)/\(Self.program)" }
      .first { unsafe access($0, X_OK) == 0 }
  }

  /// Lower case, two digits a byte: what the program takes for a build-id and never for the name of a file.
  private func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
