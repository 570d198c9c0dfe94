import Ptrauth
import Replay

/// The part of a page that is made from a timeline alone.
enum HTMLTimelinePage {
  /// "findings", for a table of several.
  static func word(_ part: HTMLReport.Part) -> String {
    guard case .timeline(let saved) = part else { return "" }
    return verdict(saved).0.lowercased()
  }

  static func write(_ saved: SavedTimeline, _ page: inout Markup) {
    let (word, rest, tone) = verdict(saved)
    HTMLReport.banner(
      "ptrauth-trace render \(saved.path ?? "timeline")", word, rest, tone, &page)
    page.element(
      "p", [("class", "note")],
      "Made from a timeline. Evidence, counters, costs and what the kernel is are in the report "
        + "(analyze --format json), which can be rendered together with it.")
    findings(saved, &page)
    var analysis = Analysis(
      reported: .incomplete, firstTime: 0, lastTime: 0, eventCount: 0)
    analysis.vcpus = saved.vcpus
    HTMLReport.timeline(saved.picture, analysis, title: "Timeline", &page)
  }

  private static func verdict(
    _ saved: SavedTimeline
  ) -> (String, String, VerdictSentence.Tone) {
    guard let verdict = saved.verdict, let word = verdict.textOrNull("verdict") else {
      return ("INCOMPLETE", "the timeline ends before its verdict: it was cut", .doubtful)
    }
    // "clean, but ...: 11 of 13 ...", as the text report begins.
    let reason = verdict.textOrNull("reason") ?? verdict.textOrNull("error") ?? ""
    let rest = reason.hasPrefix(word) ? String(reason.dropFirst(word.count)) : reason
    let tone: VerdictSentence.Tone =
      switch word {
      case Analysis.Verdict.findings.word: .bad
      case Analysis.Verdict.clean.word: rest.hasPrefix(",") ? .doubtful : .good
      default: .doubtful
      }
    return (
      word.uppercased(), rest.hasPrefix(": ") ? String(rest.dropFirst(2)) : rest, tone
    )
  }

  private static func findings(_ saved: SavedTimeline, _ page: inout Markup) {
    guard !saved.findings.isEmpty else { return }
    page.element("section") { page in
      page.element("h2", "Findings")
      page.element("table") { page in
        HTMLSections.header(
          ["rule", "severity", "level", "times", "first (s)", "last (s)", "what"], &page)
        page.element("tbody") { page in
          for finding in saved.findings {
            page.element("tr") { page in
              page.element("td") { $0.element("code", finding.rule.id) }
              page.element("td", finding.rule.severity.name)
              page.element("td", finding.level.word)
              HTMLSections.numbers([finding.count], &page)
              for moment in [finding.first, finding.last] {
                page.element("td", [("class", "n")], moment.map { seconds($0.time) } ?? "?")
              }
              page.element("td", finding.rule.title)
            }
          }
        }
      }
    }
    page.raw("\n")
  }
}
