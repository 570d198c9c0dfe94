import Ptrauth
import Replay

/// A finding as plain lines, for the formats that carry a log excerpt.
enum FindingLines {
  static func lines(_ test: TestCase) -> [String] {
    test.isKnown
      ? ["known: \(test.rule.title): \(test.summary ?? "")"]
      : test.findings.flatMap { lines($0, test) }
  }

  private static func lines(_ finding: Finding, _ test: TestCase) -> [String] {
    let rule = finding.rule
    guard rule.isCorrectness else {
      return ["\(rule.title): \(costWords(finding, times: levelWords(finding)))"]
    }
    var lines = [
      "\(rule.title): \(rule.severity.name), \(finding.level.word), "
        + (finding.level == .static ? occurrences(finding) : counted(finding.count, "time")),
      finding.statement + ".",
      "=> \(rule.consequence).",
    ]
    lines += evidence(finding) + finding.code.map(\.words)
    if let source = test.source { lines.append("in \(source)") }
    lines.append("look at \(rule.lookAt).")
    lines += finding.vcpus.map { "\(test.name($0.identity)): \(counted($0.count, "time"))" }
    return lines
  }

  /// The events that prove it: time in seconds, pCPU, thread, event, fields.
  static func evidence(_ finding: Finding) -> [String] {
    finding.evidence.map { evidence in
      "\(seconds(evidence.moment.time)) [\(String(evidence.moment.cpu).right(3))] "
        + "\(String(evidence.moment.tid).right(6))  \(evidence.event)"
        + (evidence.detail.isEmpty ? "" : "  \(evidence.detail)")
    }
  }
}
