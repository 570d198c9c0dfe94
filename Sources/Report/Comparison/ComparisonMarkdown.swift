import Printing
import Ptrauth
import Regression
import Replay

/// A comparison for a pull request.
public enum ComparisonMarkdown {
  public static func render(_ report: ComparisonReport) -> String {
    let comparison = report.comparison
    var text = "### ptrauth-trace: \(report.verdict.rawValue)\(report.caveat)\n\n"
    text += "\(escaped(report.sentence))\n\n"
    text += "| side | recording | kernel | verdict |\n| --- | --- | --- | --- |\n"
    for (side, samples) in [("base", comparison.base), ("new", comparison.new)] {
      for sample in samples {
        text +=
          "| \(side) | \(escaped(sample.name)) | \(escaped(sample.kernel)) | "
          + "\(ComparisonReport.verdict(sample)) |\n"
      }
    }
    if !comparison.findings.isEmpty {
      text += "\n| finding | rule | severity | base | new |\n| --- | --- | --- | --- | --- |\n"
      for change in comparison.findings {
        let isBad = change.kind == .new && change.isCorrectness
        text +=
          "| \(isBad ? "**new**" : change.kind.rawValue) | `\(change.rule)` | "
          + (change.isCorrectness ? change.severity.name : "cost")
          + " | \(report.counts(change).base) | "
          + "\(report.counts(change).new) |\n"
      }
    }
    text +=
      "\n| rate (median) | base | new | ratio | confidence |\n| --- | ---: | ---: | ---: | --- |\n"
    for rate in comparison.rates {
      text +=
        "| \(rate.metric.words) | \(ComparisonReport.value(rate.baseMedian, rate)) | "
        + "\(ComparisonReport.value(rate.newMedian, rate)) | \(ComparisonReport.ratio(rate)) | "
        + "\(escaped(ComparisonReport.confidence(rate))) |\n"
    }
    for threshold in report.thresholds where report.comparison.crosses(threshold) == true {
      text += "\n`--fail-if \(threshold)`: **crossed**\n"
    }
    return text
  }

  /// Text of a recording is no markup, and stays in its cell.
  private static func escaped(_ text: String) -> String {
    var result = ""
    for character in ControlCharacters.escaped(text) {
      switch character {
      case "\\", "`", "*", "_", "[", "]", "<", ">", "|", "~", "#", "&": result += "\\\(character)"
      default: result.append(character)
      }
    }
    return result
  }
}
