import ArgumentParser
import Ptrauth

/// What makes the command fail, and with which exit code.
struct VerdictOptions: ParsableArguments {
  @Option(
    help:
      "Fail on findings of this severity or above: info, low, medium, high, critical, none."
  )
  var failOn = FailOn.medium

  @Option(
    help: ArgumentHelp(
      """
      standard: 0 clean, 1 findings, 2 cannot judge, 64 usage; bisect: 125 instead of 2, 129 (ends the \
      bisection) instead of 64; kselftest: 4 (skip) instead of 2.
      """,
      valueName: "dialect"))
  var exitCode = ExitDialect.standard

  enum FailOn: String, ExpressibleByArgument, CaseIterable {
    case info, low, medium, high, critical, none
    var severity: Rule.Severity? { Rule.Severity(name: rawValue) }
  }
}

extension ExitDialect: ExpressibleByArgument {}
