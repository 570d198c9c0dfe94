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
    try requireWords(arguments)
    return try PtrauthTrace.parseAsRoot(Compare.separated(arguments))
  }

  /// An empty argument is no file and no value, but what `"$FILE"` is in a script where nothing set it. What `record`
  /// runs may have them.
  private static func requireWords(_ arguments: [String]) throws {
    // The shells' completions ask with what was typed so far.
    guard arguments.first?.hasPrefix("---") != true else { return }
    let own =
      arguments.first == Record.configuration.commandName
      ? arguments.prefix { $0 != "--" } : arguments[...]
    for (place, argument) in own.enumerated() {
      if argument.hasPrefix("--"), argument.last == "=" {
        throw ValidationError("\(argument) has no value: is a variable not set?")
      }
      guard argument.isEmpty else { continue }
      let before = place > 0 ? "the one behind '\(own[place - 1])'" : "the first"
      throw ValidationError("an argument is empty, \(before): is a variable not set?")
    }
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
