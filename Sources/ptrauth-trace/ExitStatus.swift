import ArgumentParser
import Bytes
import Ptrauth
import Replay

/// What a command found, as far as its exit code tells. Exit codes are part of the interface.
///
/// From the best to the worst: what was found stays true, whatever else could not be read.
enum Outcome: Comparable {
  case clean
  /// Input unusable, or events missing.
  case cannotJudge
  /// Findings at or above `--fail-on`.
  case findings

  init(_ analysis: Analysis, failOn: Rule.Severity?) {
    if let failOn, analysis.findings.contains(where: { $0.rule.severity >= failOn }) {
      self = .findings
      return
    }
    switch analysis.verdict {
    case .clean, .findings: self = analysis.isIncomplete ? .cannotJudge : .clean
    case .incomplete, .unusable: self = .cannotJudge
    }
  }
}

/// Whose exit codes are spoken.
enum ExitDialect: String, CaseIterable {
  case standard
  /// `git bisect run`: 125 is "cannot test this revision".
  case bisect
  /// Kernel selftests: 4 is KSFT_SKIP.
  case kselftest

  func code(_ outcome: Outcome) -> ExitCode {
    switch (outcome, self) {
    case (.clean, _): ExitCode(0)
    case (.findings, _): ExitCode(1)
    case (.cannotJudge, .standard): ExitCode(2)
    case (.cannotJudge, .bisect): ExitCode(125)
    case (.cannotJudge, .kselftest): ExitCode(4)
    }
  }

  /// Runs a command's body and ends the process with its outcome's code; a failure is one sentence on
  /// standard error, and `cannotJudge`.
  func run(_ body: () throws -> Outcome) throws {
    let outcome: Outcome
    do {
      outcome = try body()
    } catch let problem as Problem {
      complain(problem.sentence)
      outcome = .cannotJudge
    } catch let error as ByteSinkError {
      // Whoever read standard output has seen enough.
      if !error.isClosedPipe { complain("\(error)") }
      outcome = .cannotJudge
    }
    let code = code(outcome)
    if code != ExitCode(0) { throw code }
  }

  private func complain(_ sentence: String) {
    ProcessState.complain("ptrauth-trace: \(sentence)")
  }
}
