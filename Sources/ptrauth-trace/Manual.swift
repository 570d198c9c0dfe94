import ArgumentParser
import Bytes
import Report

struct Manual: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "manual",
    abstract: "Write the manual pages.",
    discussion: """
      Prints a command's manual page, in mdoc, made from what the command line itself knows, or one about a subject \
      (verdicts, recording, fleet, kernels, security); or writes all of them into a directory. \
      --generate-completion-script bash, zsh or fish, on any command, prints the completions of a shell.

      Examples:
        ptrauth-trace manual analyze | man -l -
        ptrauth-trace manual --all /usr/local/share/man/man1
        ptrauth-trace --generate-completion-script bash > ptrauth-trace.bash

      Exit codes: 0 done; 2 a page cannot be written; 64 usage.
      """)

  @Argument(
    help:
      "The command, verdicts, recording, fleet, kernels or security; without one, the program.",
    completion: .list(
      PtrauthTrace.configuration.subcommands.map { $0.configuration.commandName ?? $0._commandName }
        + ManualTopic.all.map(\.name)))
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
      throw ValidationError(
        "\(command): no such command, and no subject (\(ManualTopic.all.map(\.name).joined(separator: ", ")))"
      )
    }
  }

  func run() throws {
    try ExitDialect.standard.run {
      let program = try CommandDescription.ofProgram()
      if let all {
        for page in [program] + program.shownSubcommands {
          try write(render(page, program), to: "\(all)/\(page.pageName).1")
        }
        for topic in ManualTopic.all {
          try write(render(topic, program), to: "\(all)/\(topic.pageName).1")
        }
      } else {
        try write(
          try command.flatMap { try page(named: $0) } ?? render(program, program), to: output)
      }
      return .clean
    }
  }

  /// The page of a command or a subject, nil if there is none of this name.
  private func page(named name: String) throws(Problem) -> String? {
    let program = try CommandDescription.ofProgram()
    if let topic = ManualTopic.all.first(where: { $0.name == name }) {
      return render(topic, program)
    }
    return program.shownSubcommands.first { $0.commandName == name }.map { render($0, program) }
  }

  private func render(_ page: CommandDescription, _ program: CommandDescription) -> String {
    ManualPage.render(page, of: program, version: ToolVersion.number)
  }

  private func render(_ topic: ManualTopic, _ program: CommandDescription) -> String {
    ManualPage.render(topic, of: program, version: ToolVersion.number)
  }

  private func write(_ page: String, to path: String) throws {
    let sink = try ByteSink(path: path)
    try sink.write(page)
    try sink.finish()
  }
}
