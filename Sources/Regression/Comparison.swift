public import Ptrauth
import Replay

/// Two sets of recordings side by side: which findings are new, and which rates moved.
public struct Comparison: Sendable {
  public var base: [Sample]
  public var new: [Sample]
  /// Correctness rules first, in the catalogue's order.
  public var findings: [FindingChange]
  public var rates: [Rate]

  public struct FindingChange: Sendable {
    public enum Kind: String, Sendable {
      case new, gone, same
      /// In the base, and no recording of the new side can show the rule.
      case unseen = "not judged"
    }
    public var rule: String
    public var kind: Kind
    public var severity: Rule.Severity
    public var isCorrectness: Bool
    /// Recordings that have it, and occurrences in them.
    public var base: (recordings: Int, count: UInt64)
    public var new: (recordings: Int, count: UInt64)
    public var statement: String
    /// No recording of the base could show the rule: the fault may be older.
    public var baseIsBlind: Bool
    /// The probability of shares of recordings as different as these, if the rule were broken equally often
    /// (``FisherExact``); only where a side was merged, and both judge it.
    public var shareP: Double?
    /// The recordings that say whether it was broken, where ``shareP`` is.
    public var judging: (base: Int, new: Int)?
  }

  public struct Rate: Sendable {
    public var metric: Metric
    /// One value for each recording that has one.
    public var base: [Double]
    public var new: [Double]
    /// Nil with fewer than ``MannWhitney/leastRuns`` on either side.
    public var p: Double?
    /// Loads of some input are lower bounds, or the metric is one.
    public var isLowerBound: Bool
    public var baseMedian: Double? { Comparison.median(base) }
    public var newMedian: Double? { Comparison.median(new) }
    /// new / base; nil if either is missing or the base is 0 and the new is not.
    public var ratio: Double? {
      guard let old = baseMedian, let now = newMedian else { return nil }
      if old == 0 { return now == 0 ? 1 : nil }
      return now / old
    }
    /// The test was made, and says that the two sides differ.
    public var isSignificant: Bool { p.map { $0 < Comparison.alpha } ?? false }
  }

  /// How many recordings there are.
  public var baseRecordings: Int { base.reduce(0) { $0 + $1.weight } }
  public var newRecordings: Int { new.reduce(0) { $0 + $1.weight } }

  /// The level of the test.
  public static let alpha = 0.05

  public init(base: [Sample], new: [Sample]) {
    self.base = base
    self.new = new
    findings = Self.findings(base, new)
    rates = Metric.all.compactMap { Self.rate($0, base, new) }
  }

  /// New correctness findings of this severity or above, which a recording of the base could have shown.
  public func regressions(_ failOn: Rule.Severity?) -> [FindingChange] {
    added(failOn).filter { !$0.baseIsBlind }
  }

  /// Correctness findings of this severity or above on the new side alone, of rules that no recording of the base
  /// could show: the faults may be older.
  public func undated(_ failOn: Rule.Severity?) -> [FindingChange] {
    added(failOn).filter(\.baseIsBlind)
  }

  private func added(_ failOn: Rule.Severity?) -> [FindingChange] {
    guard let failOn else { return [] }
    return findings.filter { $0.kind == .new && $0.isCorrectness && $0.severity >= failOn }
  }

  /// Inputs that cannot stand for a side: a comparison with them is never a pass.
  public var unfit: [Sample] { (base + new).filter { !$0.isUsable || $0.isIncomplete } }

  /// Correctness rules of this severity or above that a recording of the base judges, that the new kernel
  /// may break, and that no recording of the new side shows: of these nothing can be said.
  public func lostFromSight(_ failOn: Rule.Severity?) -> [String] {
    guard let failOn else { return [] }
    return Analysis.judgedRules.filter { rule in
      rule.isCorrectness && rule.severity >= failOn
        && base.contains { $0.judges(rule) }
        && !new.contains { $0.isUsable && !$0.hidden.contains(rule.id) }
    }.map(\.id)
  }

  /// Rules that the new kernel can break and of which no recording of the new side says anything.
  public var notJudged: [Rule] {
    let usable = new.filter(\.isUsable)
    return Analysis.judgedRules.filter { rule in
      usable.contains { $0.hidden.contains(rule.id) }
        && !usable.contains { sample in
          sample.judges(rule) || sample.findings.contains { $0.rule == rule.id }
        }
    }
  }

  /// The new side judges no correctness rule at all.
  public var newIsBlind: Bool {
    !new.contains { sample in
      Analysis.judgedRules.contains {
        $0.isCorrectness && sample.judges($0) && !sample.inCode.contains($0.id)
      }
    }
  }

  /// Whether a threshold is crossed; nil if that cannot be said. Where the test can be made, a ratio counts
  /// only if the sides differ by it.
  public func crosses(_ threshold: Threshold) -> Bool? {
    guard let rate = rates.first(where: { $0.metric == threshold.metric }),
      let now = rate.newMedian
    else { return nil }
    if !threshold.isRatio { return threshold.comparison.holds(now, threshold.bound) }
    guard let old = rate.baseMedian else { return nil }
    let ratio = old == 0 ? (now == 0 ? 1 : Double.infinity) : now / old
    guard threshold.comparison.holds(ratio, threshold.bound) else { return false }
    return rate.p == nil || rate.isSignificant
  }

  static func median(_ values: [Double]) -> Double? {
    guard !values.isEmpty else { return nil }
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }

  private static func rate(_ metric: Metric, _ base: [Sample], _ new: [Sample]) -> Rate? {
    // Beside values that a sketch kept, all others must be as it would keep them: it moves them all one way.
    let isKept = (base + new).contains { $0.merged != nil }
    let usable = (base + new).filter(\.isUsable)
    // Traps with those of vCPUs without the feature, and without, are not the same rate.
    let needsFeatures = metric.isOfTraps && usable.contains(where: \.knowsFeatures)
    func values(_ side: [Sample]) -> [Double] {
      let all = side.filter { !needsFeatures || $0.knowsFeatures }.flatMap(metric.values)
      return isKept ? all.compactMap(RateSketch.kept) : all
    }
    let (old, now) = (values(base), values(new))
    guard !old.isEmpty || !now.isEmpty else { return nil }
    let isTested = min(old.count, now.count) >= MannWhitney.leastRuns
    return Rate(
      metric: metric, base: old, new: now, p: isTested ? MannWhitney.p(old, now) : nil,
      isLowerBound: metric.isLowerBound
        && (base + new).contains { $0.isUsable && $0.counters.bounds.lower.contains(.keySwitches) })
  }

  private static func findings(_ base: [Sample], _ new: [Sample]) -> [FindingChange] {
    var rules = Rule.all.map(\.id)
    for found in (base + new).flatMap(\.findings) where !rules.contains(found.rule) {
      rules.append(found.rule)
    }
    return rules.compactMap { rule in
      func all(_ side: [Sample]) -> [Sample.Found] {
        side.flatMap { $0.findings.filter { $0.rule == rule } }
      }
      func summary(_ side: [Sample]) -> (recordings: Int, count: UInt64) {
        (
          side.reduce(0) { $0 + $1.having(rule) },
          all(side).reduce(0) { Counters.sum($0, $1.count) }
        )
      }
      func isBlind(_ side: [Sample]) -> Bool {
        side.allSatisfy { !$0.isUsable || $0.hidden.contains(rule) }
      }
      let (old, now) = (summary(base), summary(new))
      guard let example = all(new).first ?? all(base).first else { return nil }
      let kind: FindingChange.Kind =
        now.recordings > 0
        ? (old.recordings > 0 ? .same : .new)
        : new.contains { $0.showsAbsence(of: rule) } ? .gone : .unseen
      var change = FindingChange(
        rule: rule, kind: kind, severity: example.severity, isCorrectness: example.isCorrectness,
        base: old, new: now, statement: example.statement, baseIsBlind: isBlind(base))
      if (base + new).contains(where: { $0.merged != nil }) {
        func judging(_ side: [Sample], _ having: Int) -> Int {
          max(having, side.reduce(0) { $0 + $1.judging(rule) })
        }
        let counts = (base: judging(base, old.recordings), new: judging(new, now.recordings))
        change.judging = counts
        change.shareP = FisherExact.p(
          UInt64(clamping: old.recordings), of: UInt64(clamping: counts.base),
          UInt64(clamping: now.recordings), of: UInt64(clamping: counts.new))
      }
      return change
    }
  }
}
