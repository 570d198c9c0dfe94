public import Ptrauth
public import Regression
public import Replay

/// A comparison with what was asked of it: what every format of it shows.
public struct ComparisonReport: Sendable {
  public var comparison: Regression.Comparison
  public var failOn: Rule.Severity?
  public var thresholds: [Threshold]
  /// For `#regzbot introduced:`: a range or a commit.
  public var introduced: String?
  /// Rules without which the new side is no pass.
  public var requirement: Requirement

  public init(
    _ comparison: Regression.Comparison, failOn: Rule.Severity?, thresholds: [Threshold],
    introduced: String? = nil, requirement: Requirement = Requirement()
  ) {
    self.requirement = requirement
    self.comparison = comparison
    self.failOn = failOn
    self.thresholds = thresholds
    self.introduced = introduced
  }

  public enum Verdict: String, Sendable {
    case regression = "regression"
    /// The new side has a finding, which the base could not have shown.
    case undated = "faulty, not known to be new"
    case none = "no regression"
    case cannotJudge = "cannot judge"
  }

  /// A regression is one whatever else is missing; without one, missing events are no pass, nor is a new
  /// side that cannot show what the base can. With a side of which nothing can be said, nothing is new.
  public var verdict: Verdict {
    guard comparison.base.contains(where: \.isUsable), comparison.new.contains(where: \.isUsable)
    else { return .cannotJudge }
    if !comparison.regressions(failOn).isEmpty || !crossed.isEmpty { return .regression }
    if !comparison.undated(failOn).isEmpty { return .undated }
    return comparison.unfit.isEmpty && undecided.isEmpty && !isBlind && requiredNotJudged.isEmpty
      ? .none : .cannotJudge
  }

  /// Required rules that no recording of the new side judges, though its kernel can break them.
  public var requiredNotJudged: [String] {
    comparison.notJudged.filter(requirement.requires).map(\.id)
  }

  /// Critical rules that no recording of the new side judges, though its kernel can break them.
  public var criticalNotJudged: [String] {
    comparison.notJudged.filter { $0.isCorrectness && $0.severity == .critical }.map(\.id)
  }

  /// Follows the verdict: the critical rules that "no regression" does not stand on.
  var caveat: String {
    guard verdict == .none, failOn != nil, !criticalNotJudged.isEmpty else { return "" }
    return ", but \(enumerated(criticalNotJudged)) "
      + (criticalNotJudged.count == 1 ? "was" : "were") + " not judged"
  }

  /// "clean, but missed-host-save was not judged": one recording's line.
  static func verdict(_ sample: Sample) -> String {
    if let merged = sample.merged { return merged.verdicts }
    let hidden = sample.verdict == .clean ? sample.criticalNotJudged.map(\.id) : []
    return sample.verdict.word
      + (hidden.isEmpty
        ? "" : ", but \(enumerated(hidden)) \(hidden.count == 1 ? "was" : "were") not judged")
      + (sample.isUsable && sample.isIncomplete ? ", events are missing" : "")
  }

  /// Rules that may have been broken on the new side unseen. Who asks for rates alone (--fail-on none) is
  /// not asking for these.
  public var lostFromSight: [String] { comparison.lostFromSight(failOn) }
  private var isBlind: Bool {
    failOn != nil && (comparison.newIsBlind || !lostFromSight.isEmpty)
  }

  public var crossed: [Threshold] { thresholds.filter { comparison.crosses($0) == true } }
  /// Thresholds on a rate that one side does not have.
  public var undecided: [Threshold] { thresholds.filter { comparison.crosses($0) == nil } }

  /// The verdict with its reasons.
  var sentence: String {
    switch verdict {
    case .regression:
      let rules =
        comparison.regressions(failOn).map { "\($0.rule) is new" }
        + comparison.undated(failOn).map { "\($0.rule) may be older, the base cannot show it" }
      return (rules + crossed.map { "\($0)" }).joined(separator: "; ")
    case .undated:
      return comparison.undated(failOn).map {
        "the new side has \($0.rule), which the base cannot show"
      }.joined(separator: "; ")
    case .none:
      let moved = comparison.rates.filter(\.isSignificant).map(\.metric.name)
      return "no new finding"
        + (moved.isEmpty ? "" : "; rates that moved: " + moved.joined(separator: ", "))
    case .cannotJudge:
      var reasons = comparison.unfit.map {
        "\($0.name) " + ($0.isUsable ? "misses events" : "cannot be used")
      }
      reasons += undecided.map { "nothing to measure for \($0)" }
      if failOn != nil, comparison.newIsBlind, reasons.isEmpty {
        reasons.append("no correctness rule can be judged from the new side")
      } else if !lostFromSight.isEmpty {
        reasons.append(
          "the new side cannot show what the base can: " + lostFromSight.joined(separator: ", "))
      }
      if !requiredNotJudged.isEmpty {
        reasons.append(
          "\(enumerated(requiredNotJudged)) \(requiredNotJudged.count == 1 ? "is" : "are") required and not "
            + "judged on the new side")
      }
      return reasons.joined(separator: "; ")
    }
  }

  /// "proved by p < 0.05", in the words of a column.
  static func confidence(_ rate: Regression.Comparison.Rate) -> String {
    guard let p = rate.p else {
      return rate.base.count == 1 && rate.new.count == 1
        ? "single comparison" : "not tested: \(rate.base.count) vs \(rate.new.count)"
    }
    return probability(p) + " n=\(rate.base.count)+\(rate.new.count)"
  }

  /// "p=0.021", "~ p=0.342" where it proves nothing, "p<0.001".
  private static func probability(_ p: Double) -> String {
    (p < Regression.Comparison.alpha ? "" : "~ ")
      + (p < 0.0005 ? "p<0.001" : "p=" + decimals(p, 3))
  }

  static func value(_ value: Double?, _ rate: Regression.Comparison.Rate) -> String {
    guard let value else { return "-" }
    return (rate.isLowerBound ? ">=" : "") + significant(value)
  }

  static func ratio(_ rate: Regression.Comparison.Rate) -> String {
    if let ratio = rate.ratio { return decimals(ratio, 2) }
    return rate.newMedian == nil || rate.baseMedian == nil ? "-" : "from 0"
  }

  /// Four significant digits, without an exponent for what is usual here.
  static func significant(_ value: Double) -> String {
    switch value {
    case 1000...: decimals(value, 0)
    case 100...: decimals(value, 1)
    case 10...: decimals(value, 2)
    default: decimals(value, 3)
    }
  }

  /// A number that is not negative, rounded to so many decimals.
  static func decimals(_ value: Double, _ count: Int) -> String {
    var scale = 1.0
    for _ in 0..<count { scale *= 10 }
    let scaled = (value * scale).rounded()
    guard scaled < 1e15 else { return "\(value)" }
    let digits = String(UInt64(max(0, scaled)))
    guard count > 0 else { return digits }
    let filled = String(repeating: "0", count: max(0, count + 1 - digits.count)) + digits
    return filled.dropLast(count) + "." + filled.suffix(count)
  }

  /// How often on each side, and whether shares of recordings differ where that can be said.
  func counts(_ change: Regression.Comparison.FindingChange) -> (base: String, new: String) {
    let share = change.shareP.map {
      " (shares \(Self.probability($0)))"
    }
    func total(_ judging: Int?, _ all: Int) -> String {
      guard let judging, judging != all else { return String(all) }
      return "\(judging) that judge it"
    }
    return (
      Self.counts(change.base, of: total(change.judging?.base, comparison.baseRecordings)),
      Self.counts(change.new, of: total(change.judging?.new, comparison.newRecordings))
        + (share ?? "")
    )
  }

  static func counts(_ side: (recordings: Int, count: UInt64), of total: String) -> String {
    "\(side.recordings) of \(total)" + (side.count > 0 ? " (\(counted(side.count, "time")))" : "")
  }
}
