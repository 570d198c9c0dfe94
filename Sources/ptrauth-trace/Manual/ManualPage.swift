/// A command's manual page in mdoc(7), from what the command line says of itself.
package struct ManualPage {
  private var source = MdocSource()
  private let command: CommandDescription
  /// All pages, by name.
  private let siblings: [String]

  /// Of the release; pages of the same release are the same.
  static let date = "November 25, 2026"

  /// - Parameter program: whose command it is, or which it is itself.
  package static func render(
    _ command: CommandDescription, of program: CommandDescription, version: String
  ) -> String {
    var page = ManualPage(command, of: program)
    page.head(command.pageName, command.abstract ?? "", version)
    page.synopsis()
    page.description()
    page.options()
    if !command.shownSubcommands.isEmpty { page.environment() }
    page.exitStatus()
    page.examples()
    page.seeAlso(except: command.pageName)
    return page.source.text
  }

  /// The page of a topic.
  static func render(
    _ topic: ManualTopic, of program: CommandDescription, version: String
  ) -> String {
    var page = ManualPage(program, of: program)
    page.head(topic.pageName, topic.abstract, version)
    for section in topic.sections {
      page.source.macro("Sh", section.title)
      page.paragraphs(CommandDescription.Paragraph.split(section.text))
    }
    page.seeAlso(except: topic.pageName)
    return page.source.text
  }

  private init(_ command: CommandDescription, of program: CommandDescription) {
    self.command = command
    siblings =
      ([program] + program.shownSubcommands).map(\.pageName) + ManualTopic.all.map(\.pageName)
  }

  private var words: [String] { (command.superCommands ?? []) + [command.commandName] }

  private mutating func head(_ name: String, _ abstract: String, _ version: String) {
    source.macro("Dd", raw: Self.date)
    source.macro("Dt", raw: "\(name.uppercased()) 1")
    source.macro("Os", "ptrauth-trace \(version)")
    source.macro("Sh", raw: "NAME")
    source.macro("Nm", name)
    source.macro("Nd", String(abstract.hasSuffix(".") ? abstract.dropLast() : abstract[...]))
  }

  private mutating func synopsis() {
    source.macro("Sh", raw: "SYNOPSIS")
    source.macro("Nm", words.joined(separator: " "))
    if !command.shownSubcommands.isEmpty {
      source.macro("Ar", "command")
      source.macro("Op", raw: "Ar argument ...")
      for argument in shown where argument.kind != .positional {
        source.macro("Nm", words.joined(separator: " "))
        source.control(MdocSource.spelled(argument))
      }
      source.macro("Nm", words.joined(separator: " "))
      source.macro("Fl", raw: "-generate-completion-script Ar shell")
      return
    }
    for argument in shown where argument.kind != .positional {
      source.control((argument.isOptional ? "Op " : "") + MdocSource.spelled(argument))
    }
    for argument in shown where argument.kind == .positional {
      let dots = argument.isRepeating ? " ..." : ""
      let name = MdocSource.quoted(argument.valueName ?? "argument") + dots
      let terminator = argument.parsingStrategy == "postTerminator" ? "Fl - " : ""
      source.control((argument.isOptional ? "Op " : "") + terminator + "Ar \(name)")
    }
  }

  private var shown: [CommandDescription.Argument] {
    (command.arguments ?? []).filter(\.shouldDisplay)
  }

  private mutating func description() {
    source.macro("Sh", raw: "DESCRIPTION")
    var isFirst = true
    for case .words(let words) in command.paragraphs {
      if !isFirst { source.macro("Pp") }
      source.words(words)
      isFirst = false
    }
    if isFirst { source.words(command.abstract ?? command.commandName) }
    guard !command.shownSubcommands.isEmpty else { return }
    source.macro("Pp")
    source.words("The commands, each with a page of its own:")
    source.macro("Bl", raw: "-tag -width Ds")
    for subcommand in command.shownSubcommands {
      source.macro("It", raw: "Xr \(subcommand.pageName) 1")
      source.words(subcommand.abstract ?? "")
    }
    source.macro("El")
    source.macro("Pp")
    source.words("And what several of them share:")
    source.macro("Bl", raw: "-tag -width Ds")
    for topic in ManualTopic.all {
      source.macro("It", raw: "Xr \(topic.pageName) 1")
      source.words(topic.abstract + ".")
    }
    source.macro("El")
  }

  private mutating func paragraphs(_ paragraphs: [CommandDescription.Paragraph]) {
    for (number, paragraph) in paragraphs.enumerated() {
      if number > 0 { source.macro("Pp") }
      switch paragraph {
      case .words(let words), .exitCodes(let words): source.words(words)
      case .examples(let title, let lines):
        if let title { source.words(title) }
        source.macro("Bd", raw: "-literal -offset indent")
        for line in lines { source.literal(line) }
        source.macro("Ed")
      }
    }
  }

  private mutating func options() {
    guard !shown.isEmpty else { return }
    source.macro("Sh", raw: "OPTIONS")
    var sections: [String?] = []
    for argument in shown where !sections.contains(argument.sectionTitle) {
      sections.append(argument.sectionTitle)
    }
    for section in sections {
      if let section { source.macro("Ss", section) }
      source.macro("Bl", raw: "-tag -width Ds")
      for argument in shown where argument.sectionTitle == section { option(argument) }
      source.macro("El")
    }
  }

  private mutating func option(_ argument: CommandDescription.Argument) {
    if argument.kind == .positional {
      source.macro("It", raw: "Ar \(MdocSource.quoted(argument.valueName ?? "argument"))")
    } else {
      source.macro("It", raw: MdocSource.allSpellings(argument))
    }
    source.words(argument.abstract ?? "")
    if let discussion = argument.discussion { source.words(discussion) }
    if let values = argument.allValues, !values.isEmpty, argument.kind == .option,
      !values.allSatisfy({ (argument.abstract ?? "").contains($0) })
    {
      source.words("Values: \(values.joined(separator: ", ")).")
    }
    if let value = argument.defaultValue, argument.kind == .option {
      source.words("The default is \(value).")
    }
  }

  private mutating func environment() {
    source.macro("Sh", raw: "ENVIRONMENT")
    source.macro("Bl", raw: "-tag -width Ds")
    for (name, words) in Self.variables {
      source.macro("It", raw: "Ev \(name)")
      source.words(words)
    }
    source.macro("El")
  }

  static let variables = [
    (
      "PERF_BUILDID_DIR",
      "The build-id cache in which a vmlinux is looked for; ~/.debug without it."
    ),
    (
      "DEBUGINFOD_URLS",
      "Servers that debuginfod-find (elfutils) asks for a vmlinux by its build-id."
    ),
    (
      "PERF_PAGER, PAGER",
      "What text is shown with when standard output is a terminal, the first that is set; less "
        + "without them. Empty or cat: no pager."
    ),
    ("LESS", "Options of less; FRX if it is not set."),
    (
      "COLUMNS",
      "How wide text is; without it as wide as the terminal, 80 columns where there is none, at least 40. A file "
        + "that -o names has 80."
    ),
    ("NO_COLOR", "If not empty, no colour."),
    ("TERM", "dumb: no colour."),
    ("CLICOLOR, CLICOLOR_FORCE", "0: no colour; not 0: colour even where there is no terminal."),
    ("GITHUB_STEP_SUMMARY", "The file that --format github adds its summary to."),
  ]

  private mutating func exitStatus() {
    for case .exitCodes(let words) in command.paragraphs {
      source.macro("Sh", raw: "EXIT STATUS")
      var codes: [(code: String, words: String)] = []
      for part in (words.hasSuffix(".") ? words.dropLast() : words[...]).split(separator: ";") {
        let pair = part.drop { $0 == " " }.split(separator: " ", maxSplits: 1).map(String.init)
        if pair.count == 2, pair[0].allSatisfy(\.isNumber) {
          codes.append((pair[0], pair[1]))
        } else if let last = codes.indices.last {
          codes[last].words += ";" + part
        } else {
          source.words(part.drop { $0 == " " } + ".")
        }
      }
      source.macro("Bl", raw: "-tag -width Ds")
      for code in codes {
        source.macro("It", raw: "Er \(MdocSource.quoted(code.code))")
        source.words(code.words)
      }
      source.macro("El")
    }
  }

  private mutating func examples() {
    var isFirst = true
    for case .examples(let title, let lines) in command.paragraphs {
      if isFirst { source.macro("Sh", raw: "EXAMPLES") }
      if let title {
        if !isFirst { source.macro("Pp") }
        source.words(title)
      }
      source.macro("Bd", raw: "-literal" + (title == nil ? "" : " -offset indent"))
      for line in lines { source.literal(line) }
      source.macro("Ed")
      isFirst = false
    }
  }

  private mutating func seeAlso(except own: String) {
    source.macro("Sh", raw: "SEE ALSO")
    let pages = (siblings.filter { $0 != own } + Self.elsewhere).sorted()
    for (number, page) in pages.enumerated() {
      source.macro("Xr", raw: "\(page) 1" + (number + 1 < pages.count ? " ," : ""))
    }
  }

  private static let elsewhere = ["git-bisect", "perf-record", "trace-cmd-record"]
}
