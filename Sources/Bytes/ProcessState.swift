private import CLinux
import Glibc
import Printing

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

  /// Of the terminal that standard output is; nil: it is none, or does not say.
  public static var standardOutputColumns: Int? {
    let columns = Int(terminal_columns(STDOUT_FILENO))
    return columns > 0 ? columns : nil
  }

  public static var standardErrorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }

  /// Processors that this process may run on (sched_getaffinity), at least 1.
  public static var usableProcessors: Int { max(Int(usable_cpus()), 1) }

  /// Time since some fixed moment.
  public static var monotonicMilliseconds: Int64 {
    var now = timespec()
    _ = unsafe clock_gettime(CLOCK_MONOTONIC, &now)
    return Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
  }

  /// Replaces the last line of the terminal that standard error is.
  public static func status(_ line: String) {
    let bytes = Array("\r\u{1b}[K\(ControlCharacters.escaped(line))".utf8)
    _ = unsafe bytes.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }

  /// A reader that goes away ends the process, by SIGPIPE as the shell expects it.
  public static func endAtBrokenPipe() { signal(SIGPIPE, SIG_DFL) }

  /// What this process holds in memory reaches no core file, whatever ends it.
  public static func leaveNoCore() { leave_no_core() }

  /// Writes one line to standard error, with its control characters written out.
  public static func complain(_ line: String) { say(ControlCharacters.escaped(line)) }

  /// Writes lines to standard error, each as ``complain(_:)`` does.
  public static func complain(lines: String) {
    let all = lines.split(separator: "\n", omittingEmptySubsequences: false)
    say(all.map { ControlCharacters.escaped(String($0)) }.joined(separator: "\n"))
  }

  private static func say(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    _ = unsafe bytes.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
