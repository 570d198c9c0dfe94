import Ptrauth
import Regression
import Replay

/// `compare --format html`: the tables, and the timelines of both sides.
public enum ComparisonHTML {
  /// - Parameter pictures: documents with a timeline to show, each with its side ("base", "new").
  public static func render(
    _ report: ComparisonReport, pictures: [(side: String, document: Document)]
  ) -> [UInt8] {
    var page = Markup()
    HTMLReport.head("\(report.verdict.rawValue) - ptrauth-trace compare", &page)
    page.raw("<body>\n<main>\n")
    let tone: VerdictSentence.Tone =
      switch report.verdict {
      case .regression, .undated: .bad
      case .none: report.caveat.isEmpty ? .good : .doubtful
      case .cannotJudge: .doubtful
      }
    HTMLReport.banner(
      "ptrauth-trace compare", report.verdict.rawValue.uppercased() + report.caveat,
      report.sentence, tone, &page)
    sides(report.comparison, &page)
    findings(report, &page)
    rates(report, &page)
    for (side, document) in pictures {
      HTMLReport.timeline(
        document, title: "Timeline, \(side): \(document.recording.path)", &page)
    }
    page.raw("</main>\n")
    HTMLReport.foot(&page)
    return page.bytes
  }

  private static func table(
    _ title: String, _ heads: [String], _ rows: [[String]], numbers: ClosedRange<Int>?,
    _ page: inout Markup
  ) {
    page.element("section") { page in
      page.element("h2", title)
      page.element("table") { page in
        HTMLSections.header(heads, &page)
        page.element("tbody") { page in
          for row in rows {
            page.element("tr") { page in
              for (column, cell) in row.enumerated() {
                let isNumber = numbers?.contains(column) ?? false
                page.element("td", isNumber ? [("class", "n")] : [], cell)
              }
            }
          }
        }
      }
    }
    page.raw("\n")
  }

  private static func sides(_ comparison: Regression.Comparison, _ page: inout Markup) {
    let rows = [("base", comparison.base), ("new", comparison.new)].flatMap { side, samples in
      samples.map {
        [
          side, $0.name, $0.kernel,
          ComparisonReport.verdict($0),
        ]
      }
    }
    table("Recordings", ["side", "recording", "kernel", "verdict"], rows, numbers: nil, &page)
  }

  private static func findings(_ report: ComparisonReport, _ page: inout Markup) {
    let rows = report.comparison.findings.map {
      [
        $0.kind.rawValue, $0.rule, $0.isCorrectness ? $0.severity.name : "cost",
        report.counts($0).base, report.counts($0).new, $0.statement,
      ]
    }
    table(
      "Findings", ["change", "rule", "severity", "base", "new", "what"], rows, numbers: nil, &page)
  }

  private static func rates(_ report: ComparisonReport, _ page: inout Markup) {
    let rows = report.comparison.rates.map {
      [
        $0.metric.name, $0.metric.words, ComparisonReport.value($0.baseMedian, $0),
        ComparisonReport.value($0.newMedian, $0), ComparisonReport.ratio($0),
        ComparisonReport.confidence($0),
      ]
    }
    table(
      "Rates (medians)", ["rate", "what", "base", "new", "ratio", "confidence"], rows,
      numbers: 2...4, &page)
    page.element(
      "p", [("class", "note")],
      "p: Mann-Whitney U, two-sided, from \(MannWhitney.leastRuns) recordings a side. >= is a lower "
        + "bound: the entry loop re-enters without an event.")
  }
}
