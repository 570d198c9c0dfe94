import ArgumentParser
import Testing
import ptrauth_trace

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
    for name in names.dropFirst() + ManualTopic.all.map(\.pageName) {
      #expect(main.output.contains("\n.It Xr \(name) 1\n"))
    }
  }

  /// Each is shown whole, its examples as they are typed, and every page leads to it.
  @Test(arguments: ManualTopic.all.indices)
  func subjectsHavePages(index: Int) throws {
    let topic = ManualTopic.all[index]
    let source = try Program.run(Program.command, ["manual", topic.name]).output
    let shown = try Program.run(
      "bash", ["-c", "man -l --warnings - | col -bx"], input: source,
      environment: ["LC_ALL=C.UTF-8", "MANWIDTH=80", "MANPAGER=cat"])
    #expect(shown.errors.isEmpty, "\(shown.errors)")
    let lint = try Program.run("mandoc", ["-Tlint", "-Wwarning"], input: source)
    #expect(lint.code == 0 && lint.output.isEmpty, "\(lint.output)")
    let lines = shown.output.split(separator: "\n").map { String($0.drop { $0 == " " }) }
    // However man breaks its lines, also behind a hyphen, or with one of its own (groff 1.23).
    let unbroken = shown.output.filter { !" \n\u{2010}".contains($0) }
    for section in topic.sections {
      #expect(lines.contains(section.title))
      for paragraph in CommandDescription.Paragraph.split(section.text) {
        switch paragraph {
        case .words(let text):
          // The last words are there, so no macro ate the end of the paragraph.
          #expect(unbroken.contains(text.split(separator: " ").suffix(3).joined()), "\(text)")
        case .examples(_, let typed):
          for line in typed { #expect(lines.contains(String(line.drop { $0 == " " })), "\(line)") }
        case .exitCodes: Issue.record("a subject has no exit codes")
        }
      }
    }
    let related = shown.output.split(separator: "SEE ALSO")[1]
    for other in Self.pages { #expect(related.contains("\(other.pageName)(1)")) }
    #expect(!related.contains("\(topic.pageName)(1),"))
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
    let lines = shown.output.split(separator: "\n").map { String($0.drop { $0 == " " }) }
    let help = try Program.run(
      Program.command, (index == 0 ? [] : [page.commandName]) + ["--help"],
      environment: ["COLUMNS=80"]
    ).output
    var examples = 0
    for case .examples(_, let typed) in page.paragraphs {
      for line in typed {
        #expect(lines.contains(String(line.drop { $0 == " " })), "stays a line: \(line)")
        // --help, too, breaks none.
        #expect(help.contains("\n  \(line)\n"), "\(line)")
      }
      examples += typed.count
    }
    #expect(examples > 0 && lines.count { $0 == "EXAMPLES" } == 1)
    // The synopsis has every option, and none twice.
    let synopsis = shown.output.split(separator: "SYNOPSIS")[1].split(separator: "DESCRIPTION")[0]
    for argument in page.arguments ?? []
    where argument.shouldDisplay && argument.kind != .positional {
      let name = argument.names?.first { $0.kind == .long }?.name ?? ""
      #expect(synopsis.contains("--\(name)"), "--\(name)")
    }
    #expect(!synopsis.contains(" -- ") || ["record", "compare"].contains(page.commandName))
    let related = shown.output.split(separator: "SEE ALSO")[1]
    for other in Self.pages.map(\.pageName) + ManualTopic.all.map(\.pageName)
    where other != page.pageName {
      #expect(related.contains("\(other)(1)"))
    }
    #expect(shown.output.contains("EXIT STATUS"))
    #expect(help.contains("Examples:\n  "), "\(page.commandName) --help has examples")
  }

  @Test(arguments: pages.indices)
  func mandocHasNoWarning(index: Int) throws {
    let source = ManualPage.render(Self.pages[index], of: Self.pages[0], version: "1")
    let lint = try Program.run("mandoc", ["-Tlint", "-Wwarning"], input: source)
    #expect(lint.code == 0 && lint.output.isEmpty, "\(lint.output)")
    let groff = try Program.run("groff", ["-mandoc", "-Kutf8", "-ww", "-z"], input: source)
    #expect(groff.code == 0 && groff.errors.isEmpty, "\(groff.errors)")
  }

  /// Whoever asks for help first sees what to type.
  @Test func theProgramItselfHasExamples() throws {
    let help = try Program.run(Program.command, ["--help"]).output
    #expect(help.contains("Examples:\n  ptrauth-trace analyze -k vmlinux perf.data  "))
    let page = try Program.run(Program.command, ["manual", "-o", "/dev/stdout"]).output
    #expect(page == (try Program.run(Program.command, ["manual"]).output))
  }

  /// Parts of exit codes that have no number belong to what is before them.
  @Test(arguments: pages.indices)
  func exitCodesAreNumbers(index: Int) {
    let source = ManualPage.render(Self.pages[index], of: Self.pages[0], version: "1")
    let codes = source.split(separator: "\n").filter { $0.hasPrefix(".It Er ") }
    #expect(codes.count > 1)
    for code in codes {
      // .It Er "\&64"
      #expect(Int(code.dropFirst(10).dropLast()) != nil, "\(code)")
    }
  }

  /// The check can fail.
  @Test func mandocWarns() throws {
    let source = ManualPage.render(Self.pages[0], of: Self.pages[0], version: "1") + ".El\n"
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
        == (Self.pages.map(\.pageName) + ManualTopic.all.map(\.pageName)).map { $0 + ".1" }.sorted()
    )
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

  /// What bash offers behind `words`.
  private func bashOffers(_ words: [String], _ script: String) throws -> [String] {
    let all = ["ptrauth-trace"] + words
    let line = all.joined(separator: " ")
    let run = try Program.run(
      "bash",
      [
        "--norc", "-c",
        """
        source /dev/stdin
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE='\(line)' COMP_POINT=\(line.count)
        _ptrauth-trace ptrauth-trace "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\\n' "${COMPREPLY[@]}"
        """, "bash",
      ] + all, input: script)
    return run.output.split(separator: "\n").map(String.init)
  }

  @Test func bashCompletesValues() throws {
    let script = try script("bash")
    let expected: [([String], [String])] = [
      (["analyze", "--generation", "v"], ["v6", "v7"]),
      (["verify", "--generation", "5.1"], ["5.16"]),
      (["verify", "--fault", "trap-s"], ["trap-skips-host-save"]),
      (["explain", "missed-host-s"], ["missed-host-save"]),
      (["explain", "stale-enable", "redundant-s"], ["redundant-switch"]),
      (["analyze", "--require", "crit"], ["critical"]),
      (["analyze", "--require", "stale-e"], ["stale-enable"]),
      (["audit", "--fail-on", "cr"], ["critical"]),
      (["compare", "--format", "mark"], ["markdown"]),
      (["analyze", "--exit-code", "ks"], ["kselftest"]),
      (["info", "--color", "n"], ["never"]),
      (["manual", "wha"], ["whatif"]),
      (["verify", "--era", "C"], ["C", "C-"]),
    ]
    for (words, offers) in expected {
      #expect(try bashOffers(words, script) == offers, "\(words)")
    }
  }

  /// What cannot be written is said, and no success.
  @Test(arguments: [
    ["--help"], ["--version"], ["analyze", "--help"], ["help", "info"], ["manual"], ["explain"],
    ["--generate-completion-script", "bash"], ["--generate-completion-script", "fish"],
  ])
  func aFullDisk(arguments: [String]) throws {
    let run = try Program.run(
      "sh", ["-c", "exec \"$0\" \"$@\" > /dev/full", Program.command] + arguments)
    #expect(run.code == 2)
    #expect(
      run.errors == "ptrauth-trace: standard output: cannot be written: No space left on device\n")
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
