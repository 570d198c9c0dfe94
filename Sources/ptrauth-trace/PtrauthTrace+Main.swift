import ArgumentParser
import Bytes
import Glibc

extension PtrauthTrace {
  static func main() {
    // Whoever started us may ignore SIGPIPE; `| head` is to end us without a word.
    ProcessState.endAtBrokenPipe()
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch {
      leave(error)
    }
  }

  /// Ends the process as `error` asks. Codes are the dialect's that the arguments ask for, though they may
  /// be wrong otherwise: `git bisect run` is never to read 64 as "this commit is bad".
  private static func leave(_ error: any Error) -> Never {
    if let code = error as? ExitCode { Glibc.exit(code.rawValue) }
    let dialect = ExitDialect(askedForIn: Array(CommandLine.arguments.dropFirst()))
    let text = fullMessage(for: error)
    switch exitCode(for: error) {
    case .success:
      if !text.isEmpty { print(text) }
      Glibc.exit(0)
    case .validationFailure:
      if !text.isEmpty { ProcessState.complain(text) }
      Glibc.exit(dialect.usage.rawValue)
    default:
      ProcessState.complain("ptrauth-trace: internal error: \(error); please report it")
      Glibc.exit(dialect.internalError.rawValue)
    }
  }
}
