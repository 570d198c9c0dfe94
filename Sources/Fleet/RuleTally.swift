import Regression
public import Replay

/// One rule in any number of recordings.
public struct RuleTally: Sendable, Hashable {
  /// What became of it in a recording: one of these.
  public enum Outcome: String, Sendable, CaseIterable {
    /// Found, and it counts.
    case broken
    /// Found, and all of it is in the list of known findings.
    case known
    /// Found, and only suspected where events are missing: it decides nothing.
    case doubtful
    case kept
    /// Not found, and events are missing in which it could be.
    case keptOutsideGaps
    case notJudged
    /// Its kernel or its guests cannot break it.
    case impossible
  }

  /// Recordings of each.
  public var outcomes: [Outcome: UInt64] = [:]
  /// How often it was broken, by how sure that is.
  public var occurrences: [Finding.Level: UInt64] = [:]
  public var reads: UInt64 = 0
  public var writes: UInt64 = 0
  public var trips: UInt64 = 0
  /// The places in the kernel's source that findings are about, each in so many recordings.
  public var places = NameCounts()
  /// Names of recordings that have it.
  public var examples = NameCounts()
  /// Why it was not judged where it could have been.
  public var reasons = NameCounts()

  public init() {}

  public func recordings(_ outcomes: Outcome...) -> UInt64 {
    outcomes.reduce(0) { Counters.sum($0, self.outcomes[$1] ?? 0) }
  }

  /// Recordings that have a finding of it, whether it counts or not.
  public var found: UInt64 { recordings(.broken, .known, .doubtful) }
  /// Recordings that say whether it was broken.
  public var judged: UInt64 { recordings(.broken, .known, .kept) }
  /// Some recording judged it and it was not broken, and none has a finding of it.
  public var isKept: Bool { found == 0 && recordings(.kept) > 0 }

  public var count: UInt64 { occurrences.values.reduce(0, Counters.sum) }

  public mutating func merge(_ other: Self) {
    outcomes.merge(other.outcomes, uniquingKeysWith: Counters.sum)
    occurrences.merge(other.occurrences, uniquingKeysWith: Counters.sum)
    reads = Counters.sum(reads, other.reads)
    writes = Counters.sum(writes, other.writes)
    trips = Counters.sum(trips, other.trips)
    places.merge(other.places)
    examples.merge(other.examples)
    reasons.merge(other.reasons)
  }
}
