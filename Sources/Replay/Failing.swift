import Ptrauth

extension Analysis {
  /// The findings that make a command fail, and a test: of severity `failOn` or above. What may only seem broken
  /// decides no verdict, and so no exit code.
  public var failing: [Finding] {
    guard let failOn else { return [] }
    return findings.filter {
      $0.rule.severity >= failOn && !isKnown($0) && (!$0.rule.isCorrectness || verdict == .findings)
    }
  }

  /// Correctness rules were broken, and none of them makes a command fail.
  public var isLenient: Bool {
    verdict == .findings && !failing.contains(where: \.rule.isCorrectness)
  }
}
