import Ptrauth
import Replay

/// Findings with their evidence, and what the key switch cost. `picture` numbers the timeline of the page
/// that the buttons lead to.
enum HTMLFindings {
  static func findings(_ document: Document, _ picture: Int?, _ page: inout Markup) {
    let analysis = document.analysis
    let findings = analysis.findings
    known(analysis, &page)
    guard findings.contains(where: { $0.rule.isCorrectness && !analysis.isKnown($0) }) else {
      return
    }
    page.element("section", [("class", "findings")]) { page in
      page.element("h2", "Findings")
      for (index, finding) in findings.enumerated()
      where finding.rule.isCorrectness && !analysis.isKnown(finding) {
        self.finding(
          finding, index, picture, document.kernel.sources[finding.rule.id]?.description, &page)
      }
    }
    page.raw("\n")
  }

  private static func known(_ analysis: Analysis, _ page: inout Markup) {
    guard let known = analysis.known else { return }
    let sentence = KnownSentence(analysis)
    page.element("section", [("class", "known")]) { page in
      page.element("h2", "Known")
      page.element("p", "Known: \(sentence.text ?? "").")
      page.element("ul") { page in
        for finding in analysis.findings where known.contains(finding) {
          page.element(
            "li",
            "\(finding.rule.id): \(finding.rule.severity.name), \(finding.level.word), "
              + occurrences(finding))
        }
        for gone in sentence.gone { page.element("li", gone) }
      }
    }
    page.raw("\n")
  }

  private static func finding(
    _ finding: Finding, _ index: Int, _ picture: Int?, _ source: String?, _ page: inout Markup
  ) {
    let rule = finding.rule
    page.element("article", [("class", "finding \(rule.severity.name)")]) {
      page in
      page.element("h3") { page in
        page.element("code", rule.id)
        page.raw(" ")
        page.element("span", [("class", "badge \(rule.severity.name)")], rule.severity.name)
        page.raw(" ")
        page.element("span", [("class", "badge")], finding.level.word)
        page.raw(" ")
        page.element("span", [("class", "times")], occurrences(finding))
      }
      page.element("p", finding.statement.capitalizedFirst + ".")
      for cause in finding.causes {
        page.element(
          "p",
          "Follows from \(cause.rule.id), \(cause.count) of \(finding.count): look there first.")
      }
      page.element("p", [("class", "consequence")]) { page in
        page.raw("<span aria-hidden=\"true\">\u{21d2}</span> ")
        page.text(rule.consequence.capitalizedFirst + ".")
      }
      evidence(finding, index, picture, &page)
      if !finding.code.isEmpty {
        page.element("pre", finding.code.map(\.words).joined(separator: "\n"))
      }
      page.element("dl", [("class", "where")]) { page in
        if let source { HTMLSections.fact("in", &page) { $0.element("code", source) } }
        HTMLSections.fact("look at", &page) { $0.text(rule.lookAt + ".") }
      }
      page.element("details") { page in
        page.element("summary", "The sequence that breaks it")
        page.element("pre", [("class", "diagram")], rule.diagram)
      }
    }
    page.raw("\n")
  }

  private static func evidence(
    _ finding: Finding, _ index: Int, _ picture: Int?, _ page: inout Markup
  ) {
    guard !finding.evidence.isEmpty else { return }
    page.element("table", [("class", "evidence")]) { page in
      page.element("caption", "The events that prove the first occurrence")
      HTMLSections.header(["time (s)", "pCPU", "thread", "event", "what it shows", ""], &page)
      page.element("tbody") { page in
        for (number, evidence) in finding.evidence.enumerated() {
          page.element("tr") { page in
            let moment = evidence.moment
            page.element("td", [("class", "n")], seconds(moment.time))
            page.element("td", [("class", "n")], String(moment.cpu))
            page.element("td", [("class", "n")], String(moment.tid))
            page.element("td") { $0.element("code", evidence.event) }
            page.element("td", evidence.detail)
            page.element("td") { page in
              guard let picture else { return }
              page.element(
                "button",
                [
                  ("type", "button"), ("class", "jump"), ("data-timeline", String(picture)),
                  ("data-finding", String(index)),
                  ("data-evidence", String(number)),
                  (
                    "aria-label",
                    "Show \(evidence.event) at \(seconds(moment.time)) in the timeline"
                  ),
                ], "show")
            }
          }
        }
      }
    }
  }

  static func costs(_ document: Document, _ picture: Int?, _ page: inout Markup) {
    let findings = document.analysis.findings
    guard findings.contains(where: { !$0.rule.isCorrectness }) else { return }
    page.element("section") { page in
      page.element("h2", "What it cost")
      page.element("table") { page in
        HTMLSections.header(
          ["rule", "what", "times", "reads", "writes", "trips", "first occurrence", ""], &page)
        page.element("tbody") { page in
          for (index, finding) in findings.enumerated() where !finding.rule.isCorrectness {
            page.element("tr") { page in
              page.element("td") { $0.element("code", finding.rule.id) }
              page.element("td") { page in
                page.text(finding.rule.title)
                if finding.level == .suspected { page.text(" (suspected)") }
                guard let basis = CostSentence.of(finding, document.kernel) else { return }
                page.element("p", [("class", "note")], basis.capitalizedFirst + ".")
              }
              HTMLSections.numbers(
                [finding.count, finding.cost?.reads, finding.cost?.writes, finding.cost?.trips],
                &page)
              page.element("td", finding.statement)
              page.element("td") { page in
                guard let picture, !finding.evidence.isEmpty else { return }
                page.element(
                  "button",
                  [
                    ("type", "button"), ("class", "jump"), ("data-timeline", String(picture)),
                    ("data-finding", String(index)),
                    ("aria-label", "Show \(finding.rule.id) in the timeline"),
                  ], "show")
              }
            }
          }
        }
      }
      page.element(
        "p", [("class", "note")],
        "Reads and writes are accesses to key registers; trips are exits to the host for ptrauth traps."
      )
    }
    page.raw("\n")
  }
}

extension String {
  /// A sentence of the catalogue, as one that begins a paragraph. Names stay as they are spelt.
  var capitalizedFirst: String {
    guard let first, let word = split(separator: " ").first,
      !word.contains("_"), !word.dropFirst().contains(where: { $0.isUppercase })
    else { return self }
    return first.uppercased() + dropFirst()
  }
}
