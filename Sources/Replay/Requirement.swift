public import Ptrauth

/// The rules that a verdict has to stand on: one that was not judged is no pass.
public struct Requirement: Sendable, Hashable {
  /// Rules that were named.
  public var named: [Rule]
  /// Every correctness rule of this severity or above.
  public var least: Rule.Severity?

  public init(named: [Rule] = [], least: Rule.Severity? = nil) {
    self.named = named
    self.least = least
  }

  public var isEmpty: Bool { named.isEmpty && least == nil }

  public func requires(_ rule: Rule) -> Bool {
    named.contains(rule) || rule.isCorrectness && least.map { rule.severity >= $0 } ?? false
  }
}

extension Analysis {
  /// Critical rules of which nothing can be said, though this kernel can break them.
  public var criticalNotJudged: [NotObservable] {
    notJudged.filter { $0.rule.isCorrectness && $0.rule.severity == .critical }
  }

  /// Required rules of which nothing can be said. One that this kernel or its guests cannot break is
  /// fulfilled, by name too.
  public var requiredNotJudged: [NotObservable] {
    notJudged.filter { requirement.requires($0.rule) }
  }

  /// Rules that were named as required and that this kernel or its guests cannot break.
  public var requiredInVain: [NotObservable] {
    notObservable.filter { !$0.applies && requirement.named.contains($0.rule) }
  }

  /// What was found broken was judged.
  private var notJudged: [NotObservable] {
    notObservable.filter { hidden in
      hidden.applies && Self.judgedRules.contains(hidden.rule)
        && !findings.contains { $0.rule == hidden.rule }
    }
  }

  /// Takes the rules that the verdict has to stand on. Findings stay findings; what was clean cannot be
  /// judged where one of them was not.
  public mutating func require(_ requirement: Requirement) {
    self.requirement = requirement
    if verdict == .clean, !requiredNotJudged.isEmpty { verdict = .cannotJudge }
  }
}
