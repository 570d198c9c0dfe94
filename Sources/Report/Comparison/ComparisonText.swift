import Ptrauth
import Regression
import Replay

/// A comparison for a mailing list: 72 columns where no terminal has others, no colours unless asked for.
public enum ComparisonText {
  static let width = 72

  public static func render(_ report: ComparisonReport, style: Style) -> String {
    var page = Page(style, width: width)
    let comparison = report.comparison
    let word = report.verdict.rawValue.uppercased() + report.caveat
    let coloured =
      switch report.verdict {
      case .regression, .undated: style.red(word)
      case .none: report.caveat.isEmpty ? style.green(word) : style.yellow(word)
      case .cannotJudge: style.yellow(word)
      }
    page.paragraph("", "\(coloured): \(report.sentence)")
    page.line()
    side("base", comparison.base, &page)
    side("new", comparison.new, &page)
    findings(report, &page)
    rates(report, &page)
    if let introduced = report.introduced {
      page.line()
      page.line("#regzbot introduced: \(introduced)")
      page.line("#regzbot title: KVM: arm64: ptrauth: \(report.sentence)")
    }
    return page.text
  }

  private static func side(_ name: String, _ samples: [Sample], _ page: inout Page) {
    var kernels: [String] = []
    for sample in samples where !kernels.contains(sample.kernel) && !sample.kernel.isEmpty {
      kernels.append(sample.kernel)
    }
    page.paragraph(
      name.padded(6),
      counted(UInt64(samples.reduce(0) { $0 + $1.weight }), "recording")
        + (kernels.isEmpty ? "" : "; ")
        + kernels.joined(separator: "; "))
    for sample in samples {
      page.paragraph(
        "        ",
        "\(sample.name): \(ComparisonReport.verdict(sample))")
    }
  }

  private static func findings(_ report: ComparisonReport, _ page: inout Page) {
    let comparison = report.comparison
    page.heading("Findings")
    if comparison.findings.isEmpty { page.line("  none on either side") }
    for change in comparison.findings {
      page.paragraph(
        "  " + change.kind.rawValue.padded(11) + change.rule.padded(24),
        change.isCorrectness ? change.severity.name : "cost")
      page.paragraph(
        "      ",
        "base \(report.counts(change).base), new \(report.counts(change).new)"
          + (change.kind == .new && change.baseIsBlind
            ? "; the base cannot show this rule, the fault may be older" : "")
          + (change.kind == .unseen ? "; the new side cannot show this rule" : ""))
      if change.kind == .new, change.isCorrectness {
        page.paragraph("      ", change.statement + ".")
      }
    }
  }

  private static func rates(_ report: ComparisonReport, _ page: inout Page) {
    let rates = report.comparison.rates
    guard !rates.isEmpty else { return }
    page.heading("Rates (medians)")
    var table = Table(columns: [
      .init("metric", 22, .left), .init("base", 10, turn: 3), .init("new", 10, turn: 1),
      .init("ratio", 8), .init("  confidence", 20, .left, turn: 2),
    ])
    table.rows = rates.map { rate in
      [
        rate.metric.name, ComparisonReport.value(rate.baseMedian, rate),
        ComparisonReport.value(rate.newMedian, rate), ComparisonReport.ratio(rate),
        "  " + ComparisonReport.confidence(rate),
      ]
    }
    table.write(to: &page)
    let isTested = rates.contains { $0.p != nil }
    page.paragraph(
      "  ",
      (isTested
        ? "p: Mann-Whitney U, two-sided; ~ is no difference at 0.05."
        : "Fewer than \(MannWhitney.leastRuns) recordings a side: the rates are not tested.")
        + " >= is a lower bound: the entry loop re-enters without an event.")
    for threshold in report.thresholds {
      let words =
        switch report.comparison.crosses(threshold) {
        case true?: "crossed"
        case false?: "kept"
        case nil: "nothing to measure"
        }
      page.line("  --fail-if \(threshold): \(words)")
    }
  }
}
