public import Ptrauth

/// What a list of known findings says of an analysis.
public struct Known: Sendable {
  /// Those of the analysis that are in the list, each a rule at a level.
  public var findings: [(rule: Rule, level: Finding.Level)] = []
  /// Those of the list that the analysis has not.
  public var gone: [Gone] = []

  public struct Gone: Sendable, Hashable {
    /// By id: a list may be of another version.
    public var rule: String
    public var level: Finding.Level
    /// The rule was judged, in the whole recording: it is not broken any more.
    public var isJudged: Bool

    public init(rule: String, level: Finding.Level, isJudged: Bool) {
      self.rule = rule
      self.level = level
      self.isJudged = isJudged
    }
  }

  public init() {}

  public func contains(_ finding: Finding) -> Bool {
    findings.contains { $0.rule == finding.rule && $0.level == finding.level }
  }
}

extension Analysis {
  public func isKnown(_ finding: Finding) -> Bool { known?.contains(finding) ?? false }

  /// Something can be said of this rule, and of all of the recording.
  public func hasJudged(_ rule: Rule) -> Bool {
    !isIncomplete && selection == nil && verdict != .unusable
      && !notObservable.contains { $0.rule == rule && $0.applies }
  }
}
