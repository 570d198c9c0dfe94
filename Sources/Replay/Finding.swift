public import Ptrauth

/// All occurrences of one rule at one level, with the proof of the first. A static finding is of the code: its
/// occurrences are places, and it has no moment.
public struct Finding: Sendable {
  public var rule: Rule
  public var level: Level
  public var count: UInt64
  public var first: Moment?
  public var last: Moment?
  /// The events that prove the first occurrence, in time order.
  public var evidence: [Evidence]
  /// The instructions that a static finding is about.
  public var code: [CodeLine] = []
  /// What the first occurrence says in one sentence.
  public var statement: String
  /// Occurrences by vCPU, in the order first seen; empty where the rule is about a pCPU.
  public var vcpus: [(identity: VCPUIdentity, count: UInt64)]
  /// Rules that were broken at the same entries before, of which this follows, and how often.
  public var causes: [Cause] = []
  /// What all occurrences cost, for the cost rules.
  public var cost: Cost?

  public struct Cause: Sendable, Hashable {
    public var rule: Rule
    public var count: UInt64

    package init(
      rule: Rule, count: UInt64
    ) {
      self.rule = rule
      self.count = count
    }
  }

  public enum Level: Int, Sendable, Hashable, Comparable {
    case suspected
    /// The code of the recorded kernel is so, whatever the events show.
    case `static`
    case proved
    public static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }
    public var word: String {
      switch self {
      case .suspected: "suspected"
      case .static: "static"
      case .proved: "proved"
      }
    }
  }
}

/// One event that supports a finding. Key values never appear here.
public struct Evidence: Sendable, Hashable {
  public var moment: Moment
  /// The event or the probed function: "kvm_exit", "kvm_arch_vcpu_load".
  public var event: String
  /// Field values in the event's own terms.
  public var detail: String

  public init(_ moment: Moment, _ event: String, _ detail: String = "") {
    self.moment = moment
    self.event = event
    self.detail = detail
  }
}
