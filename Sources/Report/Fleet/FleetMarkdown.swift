import Fleet
import Ptrauth
import Regression
import Replay

/// `merge --format markdown`: for a mail, a pull request, a dashboard.
public enum FleetMarkdown {
  public static func render(_ report: FleetReport) -> String {
    var text = "### ptrauth-trace: \(report.headline)\n\n\(cell(report.sentence))\n\n"
    text +=
      "| \(cell(report.groupingWords)) | verdict | recordings | with findings | no pass | broken rules |\n"
    text += "| --- | --- | --: | --: | --: | --- |\n"
    for (number, row) in report.rows.enumerated() {
      let mark = number == report.firstBad ? " **(the first bad one)**" : ""
      text +=
        "| \(cell(row.group.words))\(mark) | \(report.words(row.tally)) | \(row.tally.recordings) | "
        + "\(row.tally.count(.findings)) | \(row.tally.open) | "
        + report.breaks(row.tally).map { "`\($0.id)`" }.joined(separator: ", ") + " |\n"
    }
    if !report.found.isEmpty {
      text += "\n| rule | severity | recordings | of | occurrences | first in | place |\n"
      text += "| --- | --- | --: | --: | --- | --- | --- |\n"
      for item in report.found {
        text +=
          "| `\(item.rule.id)` | \(item.rule.isCorrectness ? item.rule.severity.name : "cost") | "
          + "\(item.tally.recordings(.broken)) | \(item.tally.judged) | "
          + "\(FleetReport.levels(item.tally)) | \(cell(report.rows[item.first].group.words)) | "
          + "\(cell(FleetReport.list(item.tally.places))) |\n"
      }
    }
    if !report.metrics.isEmpty {
      text +=
        "\n| rate | recordings | " + FleetReport.quantiles.map(\.name).joined(separator: " | ")
      text +=
        " |\n| --- |" + String(repeating: " --: |", count: FleetReport.quantiles.count + 1) + "\n"
      for metric in report.metrics {
        let sketch = report.total.rates[metric]?.recordings ?? RateSketch()
        text +=
          "| \(metric.words) | \(sketch.count) | "
          + FleetReport.quantiles.map { FleetReport.shown(sketch, $0.share, metric, report.total) }
          .joined(separator: " | ") + " |\n"
      }
    }
    if !report.total.troubles.isEmpty || !report.fleet.damaged.isEmpty {
      text += "\nNo pass:\n\n"
      for (reason, count) in report.total.troubles.sorted {
        text += "- \(count): \(cell(reason))\n"
      }
      if report.total.troubles.others > 0 {
        text += "- \(report.total.troubles.others): other reasons\n"
      }
      if !report.fleet.damaged.isEmpty {
        text += "- lines that are no summary: \(cell(FleetReport.list(report.fleet.damaged)))\n"
      }
    }
    return text
  }

  private static func cell(_ text: String) -> String { GitHubSummary.cell(text) }
}
