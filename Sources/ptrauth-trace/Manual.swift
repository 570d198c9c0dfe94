import ArgumentParser
import Bytes
import Report

struct Manual: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "manual",
    abstract: "Write the manual pages.",
    discussion: """
      Prints a command's manual page, in mdoc, made from what the command line itself knows; or writes all of them \
      into a directory. --generate-completion-script bash, zsh or fish, on any command, prints the completions of \
      a shell.

      Examples:
        ptrauth-trace manual analyze | man -l -
        ptrauth-trace manual --all /usr/local/share/man/man1
        ptrauth-trace --generate-completion-script bash > ptrauth-trace.bash

      Exit codes: 0 done; 2 a page cannot be written; 64 usage.
      """)

  @Argument(
    help: "The command; without one, ptrauth-trace as a whole.",
    completion: .list(
      PtrauthTrace.configuration.subcommands.map { $0.configuration.commandName ?? $0._commandName }
    ))
  var command: String?

  @Option(
    help: ArgumentHelp("Write every page into this directory.", valueName: "directory"),
    completion: .directory)
  var all: String?

  @Option(name: .shortAndLong, help: "Write to this file; - is standard output.")
  var output = "-"

  func validate() throws {
    if all != nil, output != "-" { throw ValidationError("give --output, or --all") }
    if command != nil, all != nil {
      throw ValidationError("give a command, or --all")
    }
    if let command, try page(named: command) == nil {
      throw ValidationError("\(command): no such command")
    }
  }

  func run() throws {
    try ExitDialect.standard.run {
      let program = try CommandDescription.ofProgram()
      if let all {
        for page in [program] + program.shownSubcommands {
          try write(page, to: "\(all)/\(page.pageName).1")
        }
      } else {
        try write(try command.flatMap { try page(named: $0) } ?? program, to: output)
      }
      return .clean
    }
  }

  private func page(named name: String) throws(Problem) -> CommandDescription? {
    try CommandDescription.ofProgram().shownSubcommands.first { $0.commandName == name }
  }

  private func write(_ page: CommandDescription, to path: String) throws {
    let sink = try ByteSink(path: path)
    try sink.write(
      ManualPage.render(
        page, of: CommandDescription.ofProgram(), version: ToolVersion.number))
    try sink.finish()
  }
}
