import Ptrauth

extension Analysis.NotObservable {
  /// This kernel or its guests cannot break the rule.
  static func cannotHappen(_ rule: Rule, _ reason: String) -> Self {
    Self(rule: rule, reason: reason, remedy: "nothing to see", applies: false)
  }
}

/// Why a recording does not show a rule.
enum Obstacle {
  /// This kernel or its guests cannot break it: why.
  case cannotHappen(String)
  case notRecorded(reason: String, remedy: String)
  /// No event of this kernel shows it: its code has to.
  case onlyInCode(String)
}
