package import ArgumentParser
import Bytes
import Glibc

/// The whole of it, from the process's arguments to its exit code.
package enum Program {
  package static func main() {
    // Whoever started us may ignore SIGPIPE; `| head` is to end us without a word.
    ProcessState.endAtBrokenPipe()
    let arguments = Array(CommandLine.arguments.dropFirst())
    MappedRanges.endWithSentence(
      exitCode: ExitDialect(askedForIn: arguments).code(.cannotJudge).rawValue)
    do {
      var command = try command(arguments)
      try command.run()
    } catch {
      leave(Ending(error, arguments), arguments)
    }
  }

  /// What `arguments` ask for, ready to run.
  package static func command(_ arguments: [String]) throws -> any ParsableCommand {
    if let words = Suggestion.words(for: arguments, of: PtrauthTrace.configuration) {
      throw ValidationError(words)
    }
    return try PtrauthTrace.parseAsRoot(Compare.separated(arguments))
  }

  private static func leave(_ ending: Ending, _ arguments: [String]) -> Never {
    if !ending.complaint.isEmpty { ProcessState.complain(lines: ending.complaint) }
    guard let answer = ending.answer else { Glibc.exit(ending.code) }
    do {
      let sink = try ByteSink(path: "-")
      if !answer.isEmpty { try sink.write(answer + "\n") }
      try sink.finish()
    } catch {
      ProcessState.complain("ptrauth-trace: \(error)")
      Glibc.exit(ExitDialect(askedForIn: arguments).code(.cannotJudge).rawValue)
    }
    Glibc.exit(ending.code)
  }
}
