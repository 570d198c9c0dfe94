import ArgumentParser
import Bytes
import Glibc

extension PtrauthTrace {
  static func main() {
    // Whoever started us may ignore SIGPIPE; `| head` is to end us without a word.
    ProcessState.endAtBrokenPipe()
    let arguments = Array(CommandLine.arguments.dropFirst())
    MappedRanges.endWithSentence(
      exitCode: ExitDialect(askedForIn: arguments).code(.cannotJudge).rawValue)
    do {
      if let words = Suggestion.words(for: arguments, of: configuration) {
        throw ValidationError(words)
      }
      var command = try parseAsRoot(Compare.separated(arguments))
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
      do {
        let sink = try ByteSink(path: "-")
        if !text.isEmpty { try sink.write(text + "\n") }
        try sink.finish()
      } catch {
        ProcessState.complain("ptrauth-trace: \(error)")
        Glibc.exit(dialect.code(.cannotJudge).rawValue)
      }
      Glibc.exit(0)
    case .validationFailure:
      if !text.isEmpty { ProcessState.complain(lines: text) }
      Glibc.exit(dialect.usage.rawValue)
    default:
      ProcessState.complain("ptrauth-trace: internal error: \(error); please report it")
      Glibc.exit(dialect.internalError.rawValue)
    }
  }
}
