import ArgumentParser
import Testing

@testable import ptrauth_trace

/// Manual pages and completions: complete, and read by the programs that users have.
struct ManualTests {
  private static let pages: [CommandDescription] = {
    guard let program = try? CommandDescription.ofProgram() else { return [] }
    return [program] + program.shownSubcommands
  }()

  @Test func everyCommandHasAPage() throws {
    let names = Self.pages.map(\.pageName)
    #expect(
      names.count == PtrauthTrace.configuration.subcommands.count { $0.configuration.shouldDisplay }
        + 1)
    let main = try Program.run(Program.command, ["manual"])
    for name in names.dropFirst() { #expect(main.output.contains("\n.It Xr \(name) 1\n")) }
  }

  /// As man(1) shows it: every option with every spelling, every value, every example.
  @Test(arguments: pages.indices)
  func pagesAreComplete(index: Int) throws {
    let page = Self.pages[index]
    let source = try Program.run(
      Program.command, ["manual"] + (index == 0 ? [] : [page.commandName]))
    let shown = try Program.run(
      "bash", ["-c", "man -l --warnings - | col -bx"], input: source.output,
      environment: ["LC_ALL=C.UTF-8", "MANWIDTH=80", "MANPAGER=cat"])
    #expect(shown.errors.isEmpty, "\(shown.errors)")
    #expect(shown.output.contains("NAME") && shown.output.contains("SYNOPSIS"))
    for argument in page.arguments ?? [] where argument.shouldDisplay {
      for name in argument.names ?? [] {
        let dash = name.kind == .long ? "--" : "-"
        #expect(shown.output.contains(dash + name.name), "\(dash)\(name.name)")
      }
      #expect(argument.abstract?.isEmpty == false, "\(argument.valueName ?? "") has a help text")
    }
    for case .examples(let lines) in page.paragraphs {
      for line in lines { #expect(shown.output.contains(line)) }
    }
    guard index > 0 else { return }
    #expect(shown.output.contains("EXAMPLES"), "\(page.commandName) --help has examples")
    #expect(shown.output.contains("EXIT STATUS"))
  }

  @Test(arguments: pages.indices)
  func mandocHasNoWarning(index: Int) throws {
    let source = ManualPage.render(Self.pages[index], version: "1")
    let lint = try Program.run("mandoc", ["-Tlint", "-Wwarning"], input: source)
    #expect(lint.code == 0 && lint.output.isEmpty, "\(lint.output)")
  }

  /// The check can fail.
  @Test func mandocWarns() throws {
    let source = ManualPage.render(Self.pages[0], version: "1") + ".El\n"
    #expect(try Program.run("mandoc", ["-Tlint", "-Wwarning"], input: source).code != 0)
  }

  @Test func textIsNoMacro() {
    var source = MdocSource()
    source.words(".Sh one\\two")
    source.macro("Nm", "Ar \"x\"")
    #expect(source.text == "\\&.Sh one\\etwo\n.Nm \"\\&Ar \\(dqx\\(dq\"\n")
  }

  @Test func allPagesAreWritten() throws {
    let run = try Program.run(
      "bash",
      [
        "-c",
        "d=$(mktemp -d) && \"$0\" manual --all \"$d\" && ls \"$d\" && rm -r \"$d\"",
        Program.command,
      ])
    #expect(
      run.output.split(separator: "\n").map(String.init)
        == Self.pages.map { $0.pageName + ".1" }.sorted())
    #expect(try Program.run(Program.command, ["manual", "--all", "/nonexistent"]).code == 2)
    #expect(try Program.run(Program.command, ["manual", "nonsense"]).code == 64)
  }

  // MARK: completions

  private func script(_ shell: String) throws -> String {
    try Program.run(Program.command, ["--generate-completion-script", shell]).output
  }

  @Test func bashCompletes() throws {
    let run = try Program.run(
      "bash",
      [
        "--norc", "-c",
        """
        set -e
        source /dev/stdin
        complete -p ptrauth-trace
        COMP_WORDS=(ptrauth-trace ana) COMP_CWORD=1 COMP_LINE='ptrauth-trace ana' COMP_POINT=17
        _ptrauth-trace ptrauth-trace ana ptrauth-trace
        echo "${COMPREPLY[@]}"
        COMPREPLY=() COMP_WORDS=(ptrauth-trace analyze --kcidb-or) COMP_CWORD=2
        COMP_LINE='ptrauth-trace analyze --kcidb-or' COMP_POINT=32
        _ptrauth-trace ptrauth-trace --kcidb-or analyze
        echo "${COMPREPLY[@]}"
        """,
      ], input: try script("bash"))
    #expect(run.output.hasSuffix("\nanalyze\n--kcidb-origin\n"), "\(run.output) \(run.errors)")
  }

  @Test func zshCompletes() throws {
    let run = try Program.run(
      "/usr/bin/python3", [Corpus.root + "/Tests/CommandTests/Validators/zsh.py"],
      input: try script("zsh"))
    #expect(run.code == 0 && run.output.contains("analyze"), "\(run.output) \(run.errors)")
  }

  @Test func fishCompletes() throws {
    let run = try Program.run(
      "fish",
      [
        "--no-config", "-c",
        "source -; complete -C 'ptrauth-trace ana'; complete -C 'ptrauth-trace analyze --format j'",
      ], input: try script("fish"))
    let lines = run.output.split(separator: "\n").map { $0.prefix { $0 != "\t" } }
    #expect(lines == ["analyze", "json", "jsonl", "junit"], "\(run.output) \(run.errors)")
  }
}
