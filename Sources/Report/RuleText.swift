public import Ptrauth

/// `explain` on a terminal.
public enum RuleText {
  /// All rules, one line each.
  public static func list(_ rules: [Rule], style: Style) -> String {
    var page = Page(style)
    for (title, isCorrectness) in [("Correctness", true), ("Costs", false)] {
      if !isCorrectness { page.line() }
      page.line(style.bold(title))
      for rule in rules where rule.isCorrectness == isCorrectness {
        page.paragraph(
          "  \(rule.id.padded(23)) \(rule.severity.name.padded(10))", rule.title)
      }
    }
    page.line()
    page.line("`ptrauth-trace explain RULE` tells one in full.")
    return page.text
  }

  public static func explain(_ rule: Rule, style: Style) -> String {
    var page = Page(style)
    page.paragraph(
      style.bold(rule.id) + "  ",
      "\(rule.severity.name), " + (rule.isCorrectness ? "correctness" : "cost"))
    page.paragraph("", rule.title)
    page.line()
    page.paragraph("  ", rule.definition)
    page.line()
    diagram(rule, &page)
    page.line()
    page.paragraph("  => ", rule.consequence + ".")
    page.heading("Who can judge it")
    for proof in rule.proofs {
      page.paragraph("  \(proof.judge.command.padded(9)) ", proof.grounds)
    }
    page.heading("Where it comes from")
    for source in rule.history {
      page.paragraph("  ", source.says)
      page.paragraph("      ", source.reference)
    }
    page.heading("Look at")
    page.paragraph("  ", rule.lookAt)
    page.paragraph("  in ", rule.symbols.joined(separator: ", "))
    return page.text
  }

  /// A picture has no narrower layout.
  private static func diagram(_ rule: Rule, _ page: inout Page) {
    let lines = rule.diagram.split(separator: "\n", omittingEmptySubsequences: false)
    let widest = lines.map(\.count).max() ?? 0
    let indent = min(4, page.width - widest)
    guard indent >= 0 else {
      page.paragraph(
        "  ",
        "(Its picture takes \(widest) columns; there are \(page.width). A wider terminal shows it.)"
      )
      return
    }
    for line in lines {
      page.line(line.isEmpty ? "" : String(repeating: " ", count: indent) + line)
    }
  }
}

extension Rule.Judge {
  /// The subcommand.
  var command: String {
    switch self {
    case .events: "analyze"
    case .audit: "audit"
    case .model: "verify"
    }
  }
}
