public import Ptrauth

/// What `audit` knows of the kernel beside its checks.
public struct AuditSubjectFacts: Sendable {
  public var path: String
  public var buildID: String?
  public var generation: Generation?
  public var marks: [KernelFacts.Mark]
  /// "BTF", "DWARF"; empty: struct offsets are unknown.
  public var typeFormats: [String]
  /// The file that BTF was taken from, if not from the kernel's own.
  public var btf: String?

  public init(
    path: String, buildID: String?, generation: Generation?, marks: [KernelFacts.Mark],
    typeFormats: [String], btf: String? = nil
  ) {
    self.path = path
    self.buildID = buildID
    self.generation = generation
    self.marks = marks
    self.typeFormats = typeFormats
    self.btf = btf
  }
}

/// The checklist for the terminal: the verdict, what failed, what cannot be judged; what passed only if asked.
public enum AuditText {
  /// - Parameter isVerbose: what passed too, with its instructions; every place that touches a key; the marks.
  public static func render(
    _ audit: CodeAudit, of kernel: AuditSubjectFacts, style: Style, isVerbose: Bool = false
  ) -> String {
    var page = Page(style)
    verdict(audit, &page)
    page.line()
    page.paragraph("kernel  ", kernel.path)
    if let id = kernel.buildID { page.paragraph("        ", "build-id \(id)") }
    page.paragraph(
      "scheme  ",
      kernel.generation.map { "\($0.name) (\($0.id))" } ?? "the marks fit no generation (see -v)")
    page.paragraph(
      "offsets ",
      kernel.typeFormats.isEmpty
        ? "none: neither BTF nor DWARF"
        : "from \(kernel.typeFormats[0])" + (kernel.btf.map { ", \($0)" } ?? ""))
    if isVerbose {
      for mark in kernel.marks {
        page.paragraph(
          "          ",
          "\(mark.outcome.padded(11)) \(mark.description)"
            + (mark.isConsistent ? "" : "  <- does not fit"))
      }
    }
    for (title, outcomes) in sections where isVerbose || outcomes.contains(where: \.isShownUnasked)
    {
      section(title, audit.checks.filter { outcomes.contains($0.outcome) }, &page, isVerbose)
    }
    if isVerbose { sites(audit.sites, &page) } else { unshown(audit, &page) }
    return page.text
  }

  /// What has to be looked at first, first.
  private static let sections: [(title: String, outcomes: [CodeCheck.Outcome])] = [
    ("FAIL", [.fail]), ("CANNOT BE JUDGED", [.cannotJudge]), ("NOTE", [.note]), ("PASS", [.pass]),
    ("Not applicable", [.notApplicable]),
  ]

  /// The checks of one section by the question they answer.
  private static func section(
    _ title: String, _ checks: [CodeCheck], _ page: inout Page, _ isVerbose: Bool
  ) {
    guard !checks.isEmpty else { return }
    page.heading(title)
    for question in CodeCheck.Question.allCases {
      let answers = checks.filter { $0.question == question }
      guard !answers.isEmpty else { continue }
      page.heading("\(question.rawValue.padded(3)) \(question.title)")
      for check in answers { show(check, &page, isVerbose) }
    }
  }

  /// What was left to -v, counted.
  private static func unshown(_ audit: CodeAudit, _ page: inout Page) {
    func count(_ outcome: CodeCheck.Outcome) -> UInt64 {
      UInt64(audit.checks.count { $0.outcome == outcome })
    }
    let passed = count(.pass)
    let rest = count(.notApplicable)
    guard passed + rest > 0 else { return }
    page.line()
    page.paragraph(
      "",
      counted(passed, "check") + " passed" + (rest == 0 ? "" : ", \(rest) not applicable")
        + "; -v shows them.")
  }

  private static func verdict(_ audit: CodeAudit, _ page: inout Page) {
    func count(_ outcome: CodeCheck.Outcome) -> Int { audit.checks.count { $0.outcome == outcome } }
    let judged = count(.pass) + count(.fail)
    let rest = count(.cannotJudge)
    let open = rest == 0 ? "" : "; \(rest) cannot be judged"
    if count(.fail) > 0 {
      var rules: [String] = []
      for check in audit.checks where check.outcome == .fail {
        if let id = check.rule?.id, !rules.contains(id) { rules.append(id) }
      }
      page.sentence(
        "\(page.style.red("FAIL")): \(count(.fail)) of \(judged) checks"
          + (rules.isEmpty ? "" : ": " + rules.joined(separator: ", ")) + open)
    } else if judged == 0 || rest > 0 {
      page.sentence(
        "\(page.style.yellow("CANNOT JUDGE")): \(rest) of \(judged + rest) checks"
          + (judged == 0 ? "" : "; the others pass"))
    } else {
      page.line("\(page.style.green("PASS")): \(judged) checks, none failed")
    }
  }

  private static func show(_ check: CodeCheck, _ page: inout Page, _ isVerbose: Bool) {
    let word =
      switch check.outcome {
      case .pass: page.style.green("PASS")
      case .fail: page.style.red("FAIL")
      case .note: page.style.bold("NOTE")
      case .notApplicable: page.style.dim("n/a ")
      case .cannotJudge: page.style.yellow("?   ")
      }
    page.paragraph("  \(word)  ", check.place)
    let rule =
      check.outcome == .fail ? check.rule.map { " [\($0.id), \($0.severity.name)]" } ?? "" : ""
    page.paragraph("        ", check.statement + rule)
    guard !check.lines.isEmpty else { return }
    if isVerbose || check.outcome == .fail {
      instructions(check.lines, &page)
    } else if let line = check.lines.first {
      page.paragraph(
        "        ",
        "at \(hexadecimal(line.address))" + (line.symbol.map { " <\($0)>" } ?? "")
          + (line.source.map { ", \($0)" } ?? ""))
    }
  }

  /// Address, place and words in columns; the words in a line of their own where those are too wide.
  private static func instructions(_ lines: [CodeLine], _ page: inout Page) {
    var source = ""
    for line in lines {
      if let now = line.source, now != source {
        page.line("        \(now)")
        source = now
      }
      let mark = line.isMarked ? page.style.red(">") : " "
      let head = "    \(mark) \(hexadecimal(line.address)) "
      let place = line.symbol.map { "<\($0)>" } ?? ""
      let text = line.text ?? ".inst \(hexadecimal(UInt64(line.word)))"
      let row = head + place.padded(24) + " " + text
      if page.style.columns(of: row) <= page.width {
        page.line(row)
      } else {
        page.paragraph(head, place)
        page.line("        \(text)")
      }
    }
  }

  private static func sites(_ sites: [KeySites], _ page: inout Page) {
    page.heading("Every place that touches a key register")
    for site in sites {
      page.paragraph(
        "  \(hexadecimal(site.address)) ",
        "\(site.place): \(site.user.rawValue); \(site.reads.count) reads, \(site.writes.count) writes"
      )
    }
  }
}

extension CodeCheck.Outcome {
  /// Somebody has to look at it.
  fileprivate var isShownUnasked: Bool { self == .fail || self == .cannotJudge }
}
