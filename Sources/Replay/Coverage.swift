public import Ptrauth

extension Analysis {
  /// What the judgement of a rule stands on.
  public struct Coverage: Sendable, Hashable {
    public var rule: Rule
    /// How often a situation occurred in which its fault would have shown.
    public var situations: UInt64
    /// Nil: the rule is not about single vCPUs.
    public var vcpus: VCPUs?

    /// vCPUs in which it occurred, and those that the fault could have harmed.
    public struct VCPUs: Sendable, Hashable {
      public var seen: Int
      public var concerned: Int

      public init(seen: Int, concerned: Int) {
        self.seen = seen
        self.concerned = concerned
      }
    }

    public init(rule: Rule, situations: UInt64, vcpus: VCPUs?) {
      self.rule = rule
      self.situations = situations
      self.vcpus = vcpus
    }

    /// A fault that only other vCPUs have would not have shown.
    public var isPartial: Bool { vcpus.map { $0.seen < $0.concerned } ?? false }
  }

  /// Critical rules that were judged on some of the vCPUs only that the fault could have harmed.
  public var criticalInPart: [Coverage] {
    coverage.filter { covered in
      covered.isPartial && covered.rule.isCorrectness && covered.rule.severity == .critical
        && !findings.contains { $0.rule == covered.rule }
    }
  }
}
