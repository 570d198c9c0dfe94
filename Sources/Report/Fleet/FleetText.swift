import Fleet
import Ptrauth
import Regression
import Replay

/// `merge`, for a terminal.
public enum FleetText {
  public static func render(_ report: FleetReport, style: Style) -> String {
    var page = Page(style)
    let word =
      switch report.tone {
      case .good: style.green(report.headline)
      case .doubtful: style.yellow(report.headline)
      case .bad: style.red(report.headline)
      }
    page.sentence("\(word): \(report.sentence)")
    page.line()
    groups(report, &page)
    rules("Broken rules", report.broken, report, &page)
    rules("Costs", report.costs, report, &page)
    unjudged(report, &page)
    rates(report, &page)
    return page.text
  }

  private static func groups(_ report: FleetReport, _ page: inout Page) {
    page.paragraph(
      "", "\(counted(report.total.recordings, "recording")) \(report.groupingWords)")
    for (number, row) in report.rows.enumerated() {
      let tally = row.tally
      let mark = number == report.firstBad ? " <= the first bad one" : ""
      page.paragraph("  " + report.word(tally).padded(14), row.group.words + mark)
      let verdicts = Analysis.Verdict.allCases.filter { tally.count($0) > 0 }.map {
        "\(tally.count($0)) \($0.word)"
      }
      let rules = report.breaks(tally).map {
        "\($0.id) in \(tally.rules[$0]?.recordings(.broken) ?? 0)"
      }
      let known = FleetReport.knows(tally).map {
        "\($0.id) known in \(tally.rules[$0]?.recordings(.known) ?? 0)"
      }
      page.paragraph(
        "      ",
        (["\(counted(tally.recordings, "recording")): \(verdicts.joined(separator: ", "))"] + rules
          + known).joined(separator: "; "))
      let unseen = FleetReport.unseen(tally).map(\.id)
      if !unseen.isEmpty {
        page.paragraph("      ", "not judged: " + unseen.joined(separator: ", "))
      }
    }
  }

  private static func rules(
    _ title: String, _ found: [FleetReport.FoundRule], _ report: FleetReport, _ page: inout Page
  ) {
    guard !found.isEmpty else { return }
    page.heading(title)
    for item in found {
      let tally = item.tally
      page.paragraph(
        "  " + item.rule.id.padded(24),
        (item.rule.isCorrectness ? item.rule.severity.name + ", " : "")
          + "in \(report.of(tally.recordings(.broken), tally.judged)) that judge it; "
          + FleetReport.levels(tally))
      if tally.reads > 0 || tally.writes > 0 || tally.trips > 0 {
        page.paragraph(
          "      ", "cost \(tally.reads) reads, \(tally.writes) writes, \(tally.trips) trips")
      }
      page.paragraph(
        "      ",
        "first in \(report.rows[item.first].group.words)"
          + (item.lastGood.map { "; last kept in \(report.rows[$0].group.words)" } ?? ""))
      guard item.rule.isCorrectness else { continue }
      if !tally.places.isEmpty { page.paragraph("      in ", FleetReport.list(tally.places)) }
      page.paragraph("      recordings ", FleetReport.list(tally.examples))
    }
  }

  private static func unjudged(_ report: FleetReport, _ page: inout Page) {
    let total = report.total
    if total.open > 0 || !report.fleet.damaged.isEmpty {
      page.heading("No pass")
      for (reason, count) in total.troubles.sorted {
        page.paragraph("  \(String(count).right(6))  ", reason)
      }
      if total.troubles.others > 0 {
        page.line("  \(String(total.troubles.others).right(6))  for other reasons")
      }
      if !total.openNames.isEmpty {
        page.paragraph("  recordings ", FleetReport.list(total.openNames))
      }
      if !report.fleet.damaged.isEmpty {
        page.paragraph("  lines that are no summary ", FleetReport.list(report.fleet.damaged))
      }
    }
    guard !report.unjudged.isEmpty else { return }
    page.heading("Not judged")
    for item in report.unjudged {
      page.paragraph(
        "  " + item.rule.id.padded(24),
        "in \(report.of(item.count, total.recordings))"
          + (item.tally.reasons.isEmpty
            ? "" : ": " + FleetReport.list(item.tally.reasons, counts: true)))
    }
  }

  private static func rates(_ report: FleetReport, _ page: inout Page) {
    guard !report.metrics.isEmpty else { return }
    page.heading("Rates of recordings")
    var table = Table(columns: [
      .init("metric", 22, .left), .init("recordings", 12, turn: 1),
    ])
    table.columns += FleetReport.quantiles.enumerated().map {
      .init($1.name, 11, turn: $0 == 0 ? nil : $0 + 1)
    }
    table.rows = report.metrics.map { metric in
      let sketch = report.total.rates[metric]?.recordings ?? RateSketch()
      return [metric.name, String(sketch.count)]
        + FleetReport.quantiles.map { FleetReport.shown(sketch, $0.share, metric, report.total) }
    }
    table.write(to: &page)
    page.paragraph(
      "  ",
      "A quantile is at most 0.8 % too low. >= is a lower bound: the entry loop re-enters without an event."
    )
  }
}
