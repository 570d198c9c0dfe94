private import CBuild

/// The version of ptrauth-trace, as every document names it, and of what this program is a build.
public enum ToolVersion {
  public static let number = "0.1.0"

  /// What `--version` prints: "ptrauth-trace 0.1.0, commit 0123456789ab, Swift 6.3.1, aarch64".
  public static var line: String {
    let commit = PTRAUTH_TRACE_COMMIT.isEmpty ? "no release" : "commit \(PTRAUTH_TRACE_COMMIT)"
    return "ptrauth-trace \(number), \(commit), Swift \(compiler), \(architecture)"
  }

  /// The whole number where the release names it; a compiler tells of itself only what it is at least.
  private static var compiler: String {
    guard PTRAUTH_TRACE_SWIFT.isEmpty else { return PTRAUTH_TRACE_SWIFT }
    #if compiler(>=6.4)
      return "6.4 or later"
    #elseif compiler(>=6.3)
      return "6.3"
    #else
      return "6.2"
    #endif
  }

  /// As `uname -m` says it.
  private static var architecture: String {
    #if arch(x86_64)
      "x86_64"
    #elseif arch(arm64)
      "aarch64"
    #else
      "an architecture that is not tested"
    #endif
  }
}
