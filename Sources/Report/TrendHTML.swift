import Ptrauth
public import Regression
import Replay

/// `render --trend`: rules and rates over several reports, in the order they were given.
public enum TrendHTML {
  public static func render(_ samples: [Sample]) -> [UInt8] {
    var page = Markup()
    let broken = samples.count { $0.verdict == .findings }
    HTMLReport.head("\(counted(UInt64(samples.count), "report")) - ptrauth-trace trend", &page)
    page.raw("<body>\n<main>\n")
    HTMLReport.banner(
      "ptrauth-trace render --trend", counted(UInt64(samples.count), "report"),
      broken == 0 ? "none with findings" : "\(broken) with findings",
      broken > 0 ? .bad : samples.allSatisfy { $0.verdict == .clean } ? .good : .doubtful, &page)
    reports(samples, &page)
    rules(samples, &page)
    rates(samples, &page)
    page.raw("</main>\n</body>\n</html>\n")
    return page.bytes
  }

  private static func reports(_ samples: [Sample], _ page: inout Markup) {
    page.element("section") { page in
      page.element("h2", "Reports")
      page.element("table") { page in
        HTMLSections.header(["#", "report", "kernel", "verdict", "runs"], &page)
        page.element("tbody") { page in
          for (number, sample) in samples.enumerated() {
            page.element("tr") { page in
              page.element("td", [("class", "n")], String(number + 1))
              page.element("td", sample.name)
              page.element("td", sample.kernel)
              page.element("td", ComparisonReport.verdict(sample))
              HTMLSections.numbers([sample.isUsable ? sample.counters.runs : nil], &page)
            }
          }
        }
      }
    }
    page.raw("\n")
  }

  /// One rule in one report.
  private enum Cell {
    case count(UInt64, level: String, perThousandRuns: Double?)
    case notJudged, cannotHappen, unusable

    init(_ rule: Rule, _ sample: Sample) {
      let found = sample.findings.filter { $0.rule == rule.id }
      let runs = sample.counters.runs
      if !found.isEmpty || sample.judges(rule) {
        let count = found.reduce(0) { Counters.sum($0, $1.count) }
        // Places in the code are no rate.
        let isStatic = found.contains { $0.level == Finding.Level.static.word }
        self = .count(
          count, level: found.map(\.level).joined(separator: ", "),
          perThousandRuns: runs == 0 || isStatic ? nil : Double(count) * 1000 / Double(runs))
      } else if !sample.isUsable {
        self = .unusable
      } else {
        self = sample.impossible.contains(rule.id) ? .cannotHappen : .notJudged
      }
    }
  }

  private static func rules(_ samples: [Sample], _ page: inout Markup) {
    let names = Set(samples.flatMap { $0.findings.map(\.rule) })
    let rules = Rule.all.filter { names.contains($0.id) }
    page.element("section") { page in
      page.element("h2", "Rules")
      guard !rules.isEmpty else {
        page.element("p", "No report has a finding.")
        return
      }
      page.element("table") { page in
        HTMLSections.header(
          ["rule", "severity", "per 1000 runs"] + samples.indices.map { String($0 + 1) }, &page)
        page.element("tbody") { page in
          for rule in rules {
            let cells = samples.map { Cell(rule, $0) }
            page.element("tr") { page in
              page.element("td") { $0.element("code", rule.id) }
              page.element("td", rule.isCorrectness ? rule.severity.name : "cost")
              page.element("td") { page in
                bars(
                  cells.map { if case .count(_, _, let rate) = $0 { rate } else { nil } }, &page)
              }
              for cell in cells { write(cell, &page) }
            }
          }
        }
      }
      page.element(
        "p", [("class", "note")],
        "Occurrences, and below them for every 1000 runs; ? not judged in that report, \u{2013} cannot happen "
          + "there, \u{d7} no report. Rules that no report found broken are left out.")
    }
    page.raw("\n")
  }

  private static func write(_ cell: Cell, _ page: inout Markup) {
    page.element("td", [("class", "n")]) { page in
      switch cell {
      case .count(let count, let level, let rate):
        page.text(String(count))
        let words = [rate.map(ComparisonReport.significant) ?? "", level].filter { !$0.isEmpty }
        if count > 0, !words.isEmpty {
          page.element("p", [("class", "note")], words.joined(separator: ", "))
        }
      case .notJudged: page.text("?")
      case .cannotHappen: page.text("\u{2013}")
      case .unusable: page.text("\u{d7}")
      }
    }
  }

  private static func rates(_ samples: [Sample], _ page: inout Markup) {
    page.element("section") { page in
      page.element("h2", "Rates")
      page.element("table") { page in
        HTMLSections.header(
          ["rate", "what", ""] + samples.indices.map { String($0 + 1) }, &page)
        page.element("tbody") { page in
          for metric in Metric.all {
            let values = samples.map { metric.isShown(by: $0) ? metric.value($0) : nil }
            page.element("tr") { page in
              page.element("td") { $0.element("code", metric.name) }
              page.element("td", metric.words)
              page.element("td") { bars(values, &$0) }
              for (value, sample) in zip(values, samples) {
                let least =
                  metric.isLowerBound && sample.counters.bounds.lower.contains(.keySwitches)
                page.element(
                  "td", [("class", "n")],
                  value.map { (least ? "\u{2265} " : "") + ComparisonReport.significant($0) } ?? "?"
                )
              }
            }
          }
        }
      }
      page.element(
        "p", [("class", "note")],
        "\u{2265}: at least so much, as the entry loop re-enters the guest without an event; ? not recorded, or nothing to divide by."
      )
    }
    page.raw("\n")
  }

  /// A bar for each report, as high as its share of the highest; a dot where there is no value. The numbers
  /// stand beside it.
  private static func bars(_ values: [Double?], _ page: inout Markup) {
    let most = values.compactMap(\.self).max() ?? 0
    let width = min(8, max(2, 240 / max(1, values.count)))
    page.element(
      "svg",
      [
        ("class", "bars"), ("aria-hidden", "true"), ("width", String(width * values.count)),
        ("height", "24"),
      ]
    ) { page in
      for (number, value) in values.enumerated() {
        let height = value.map { most > 0 ? max(1, Int($0 / most * 22)) : 1 } ?? 2
        page.element(
          "rect",
          [
            ("class", value == nil ? "none" : "bar-value"), ("x", String(number * width)),
            ("y", String(23 - height)), ("width", String(max(1, width - 1))),
            ("height", String(height)),
          ]
        ) { _ in }
      }
    }
  }
}
