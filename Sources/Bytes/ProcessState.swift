import Glibc

/// What the process was started with.
public enum ProcessState {
  /// The environment, by name.
  public static var environment: [String: String] {
    var result: [String: String] = [:]
    var entry = unsafe environ
    while let text = unsafe entry.pointee {
      let pair = unsafe String(cString: text)
      if let equals = pair.firstIndex(of: "=") {
        result[String(pair[..<equals])] = String(pair[pair.index(after: equals)...])
      }
      unsafe entry += 1
    }
    return result
  }

  public static var standardOutputIsTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

  /// A reader that goes away ends the process, by SIGPIPE as the shell expects it.
  public static func endAtBrokenPipe() { signal(SIGPIPE, SIG_DFL) }

  /// Writes one line to standard error.
  public static func complain(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = unsafe bytes.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
