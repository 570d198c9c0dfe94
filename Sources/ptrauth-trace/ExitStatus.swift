import ArgumentParser
import Ptrauth
import Replay

/// Exit codes are part of the interface.
enum ExitStatus {
  static let clean = ExitCode(0)
  /// Findings at or above `--fail-on`.
  static let findings = ExitCode(1)
  /// Input unusable, or events missing.
  static let incomplete = ExitCode(2)

  static func of(_ analysis: Analysis, failOn: Rule.Severity?) -> ExitCode {
    if let failOn, analysis.findings.contains(where: { $0.rule.severity >= failOn }) {
      return findings
    }
    switch analysis.verdict {
    case .clean, .findings: return analysis.isIncomplete ? incomplete : clean
    case .incomplete, .unusable: return incomplete
    }
  }
}
