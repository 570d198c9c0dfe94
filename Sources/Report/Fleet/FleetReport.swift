public import Fleet
public import Ptrauth
import Regression
import Replay

/// Merged recordings, and what every format shows of them.
public struct FleetReport: Sendable {
  public var fleet: Fleet
  public let failOn: Rule.Severity?
  let rows: [(group: Group, tally: Tally)]
  let total: Tally
  /// Rules that some recording broke, correctness first, the worst first.
  let found: [FoundRule]
  /// The first row that breaks a rule that makes it fail: in the order of kernels, the first bad one.
  let firstBad: Int?
  /// Critical rules that some row leaves unjudged, and how many rows.
  let unseen: [(rule: Rule, rows: Int)]

  /// A rule that was found, and where first.
  struct FoundRule {
    var rule: Rule
    var tally: RuleTally
    /// The number of the first row that has it.
    var first: Int
    /// How many rows have it.
    var groups: Int
    /// The row before the first whose recordings judge it and do not have it: there it was still right.
    var lastGood: Int?
  }

  public init(_ fleet: Fleet, failOn: Rule.Severity?) {
    self.fleet = fleet
    self.failOn = failOn
    let rows = fleet.sorted
    let total = rows.reduce(into: Tally()) { $0.merge($1.tally) }
    self.rows = rows
    self.total = total
    firstBad = rows.firstIndex { !$0.tally.failing(failOn).isEmpty }
    let blind = rows.map { Self.unseen($0.tally) }
    unseen = Analysis.judgedRules.compactMap { rule in
      let count = blind.count { $0.contains(rule) }
      return count > 0 ? (rule, count) : nil
    }
    let all = Rule.all.compactMap { rule -> FoundRule? in
      func has(_ tally: Tally) -> Bool { (tally.rules[rule]?.recordings(.broken) ?? 0) > 0 }
      guard let tally = total.rules[rule], let first = rows.firstIndex(where: { has($0.tally) })
      else { return nil }
      return FoundRule(
        rule: rule, tally: tally, first: first, groups: rows.count { has($0.tally) },
        lastGood: rows[..<first].lastIndex {
          $0.group.isOlder(than: rows[first].group) && $0.tally.rules[rule]?.isKept ?? false
        })
    }
    found =
      [.critical, .high, .medium, .low, .info].flatMap { severity in
        all.filter { $0.rule.isCorrectness && $0.rule.severity == severity }
      } + all.filter { !$0.rule.isCorrectness }
  }

  var broken: [FoundRule] { found.filter(\.rule.decidesVerdict) }
  var costs: [FoundRule] { found.filter { !$0.rule.decidesVerdict } }
  /// Rules of `failOn` or above that were broken: the exit code is 1.
  public var failing: [Rule] { total.failing(failOn) }
  /// Something cannot be said: without a failing rule the exit code is 2.
  public var isOpen: Bool { total.open > 0 || !fleet.damaged.isEmpty || total.recordings == 0 }

  /// "by kernel, label:board".
  var groupingWords: String {
    guard let facets = fleet.grouping.facets else { return "by kernel and every label" }
    return facets.isEmpty
      ? "all together" : "by " + facets.map(\.name).joined(separator: ", ")
  }

  func of(_ count: UInt64, _ whole: UInt64) -> String {
    "\(count) of \(counted(whole, "recording"))"
  }

  /// "a, b and 3 others".
  static func list(_ names: NameCounts, counts: Bool = false) -> String {
    var words = names.sorted.map { counts ? "\($0.name) (\($0.count))" : $0.name }
    if names.others > 0 { words.append("\(names.others) others") }
    return words.joined(separator: ", ")
  }

  /// "12 proved, 3 suspected".
  static func levels(_ tally: RuleTally) -> String {
    [Finding.Level.proved, .static, .suspected].compactMap { level in
      tally.occurrences[level].map { "\($0) \(level.word)" }
    }.joined(separator: ", ")
  }

  /// Correctness rules of which some recordings say nothing, with how many and why.
  var unjudged: [(rule: Rule, count: UInt64, tally: RuleTally)] {
    Analysis.judgedRules.filter(\.isCorrectness).compactMap { rule in
      let count = total.silent(on: rule)
      return count > 0 ? (rule, count, total.rules[rule] ?? RuleTally()) : nil
    }
  }

  static let quantiles: [(name: String, share: Double)] = [
    ("median", 0.5), ("90 %", 0.9), ("99 %", 0.99), ("most", 1),
  ]

  /// Rates that some recording has.
  var metrics: [Metric] { Metric.all.filter { total.rates[$0] != nil } }

  /// A quantile in digits, with the sign of a lower bound.
  static func shown(_ sketch: RateSketch, _ share: Double, _ metric: Metric, _ tally: Tally)
    -> String
  {
    guard let value = sketch.quantile(share) else { return "-" }
    return (metric.isLowerBound && tally.leastSwitches > 0 ? ">=" : "")
      + ComparisonReport.significant(value)
  }
}
