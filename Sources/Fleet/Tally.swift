public import Ptrauth
public import Regression
public import Replay

/// What any number of recordings say, none and one among them. Everything is a sum, so that merging is associative and
/// commutative, and its size does not grow with the recordings.
public struct Tally: Sendable {
  public var recordings: UInt64 = 0
  public var verdicts: [Analysis.Verdict: UInt64] = [:]
  /// Recordings that miss events.
  public var eventsMissing: UInt64 = 0
  /// Recordings that are no pass, whatever was found in others: events are missing, or a rule that was required, or
  /// no correctness rule was judged.
  public var open: UInt64 = 0
  public var bytes: UInt64 = 0
  public var events: UInt64 = 0
  public var lost: UInt64 = 0
  /// From first to last event, in ns.
  public var duration: UInt64 = 0
  /// Base names.
  public var names = NameCounts()
  public var formats = NameCounts()
  public var schemes = NameCounts()
  /// Why recordings are open.
  public var troubles = NameCounts()
  /// Names of open recordings.
  public var openNames = NameCounts()
  public var rules: [Rule: RuleTally] = [:]
  public var vcpus: UInt64 = 0
  public var vms: UInt64 = 0
  /// Sums over vCPUs; how exact they are is in the next two.
  public var counters = Counters()
  /// Recordings of which key switches, or loads, are lower bounds.
  public var leastSwitches: UInt64 = 0
  public var leastLoads: UInt64 = 0
  public var redundantAccesses: UInt64 = 0
  public var rates: [Metric: Rates] = [:]

  public init() {}

  public mutating func merge(_ other: Self) {
    for sum in Self.sums {
      self[keyPath: sum] = Counters.sum(self[keyPath: sum], other[keyPath: sum])
    }
    for names in Self.allNames { self[keyPath: names].merge(other[keyPath: names]) }
    verdicts.merge(other.verdicts, uniquingKeysWith: Counters.sum)
    counters.add(other.counters, hasFeature: true)
    for (rule, tally) in other.rules { rules[rule, default: RuleTally()].merge(tally) }
    for (metric, more) in other.rates { rates[metric, default: Rates()].merge(more) }
  }

  private static var sums: [WritableKeyPath<Self, UInt64>] {
    [
      \.recordings, \.eventsMissing, \.open, \.bytes, \.events, \.lost, \.duration, \.vcpus, \.vms,
      \.leastSwitches, \.leastLoads, \.redundantAccesses,
    ]
  }

  private static var allNames: [WritableKeyPath<Self, NameCounts>] {
    [\.names, \.formats, \.schemes, \.troubles, \.openNames]
  }
}

extension Tally {
  /// Recordings of this verdict.
  public func count(_ verdict: Analysis.Verdict) -> UInt64 { verdicts[verdict] ?? 0 }

  /// Rules of this severity or above that were broken: what makes a command fail.
  public func failing(_ failOn: Rule.Severity?) -> [Rule] {
    guard let failOn else { return [] }
    return Rule.all.filter {
      $0.severity >= failOn && (rules[$0]?.recordings(.broken) ?? 0) > 0
    }
  }

  /// No recording that could break the rule says whether it does.
  func says(nothingOf rule: Rule) -> Bool {
    rules[rule]?.recordings(.broken, .known, .doubtful, .kept, .keptOutsideGaps) ?? 0 == 0
  }

  /// Recordings of which nothing is said about the rule.
  public func silent(on rule: Rule) -> UInt64 {
    let said =
      rules[rule]?.recordings(.broken, .known, .doubtful, .kept, .keptOutsideGaps, .impossible) ?? 0
    return recordings > said ? recordings - said : 0
  }
}
