/// A rule of the catalogue: what a finding is an instance of, and everything `explain` tells of it.
public struct Rule: Sendable, Hashable {
  public var id: String
  public var title: String
  public var severity: Severity
  /// About keys being right; the others are costs.
  public var isCorrectness: Bool
  /// When it is broken, in the terms of the patch.
  public var definition: String
  /// What follows from it, in one sentence.
  public var consequence: String
  /// Who can judge it, and on what grounds.
  public var proofs: [Proof]
  /// Where it happened, or was avoided.
  public var history: [Source]
  /// Where a reader looks next.
  public var lookAt: String
  /// Kernel functions that hold the code in question, over all generations; a kernel has some of them.
  public var symbols: [String] = []
  /// The sequence that breaks it: ASCII, at most 72 columns.
  public var diagram: String

  /// Who can judge a rule.
  public enum Judge: Sendable, Hashable, CaseIterable {
    /// `analyze`: the events of a recording.
    case events
    /// `audit`: the code of a vmlinux.
    case audit
    /// `verify`: exploring the model.
    case model
  }

  public struct Proof: Sendable, Hashable {
    public var judge: Judge
    /// One sentence: what proves it there, or makes it suspected.
    public var grounds: String

    static func events(_ grounds: String) -> Proof { Proof(judge: .events, grounds: grounds) }
    static func audit(_ grounds: String) -> Proof { Proof(judge: .audit, grounds: grounds) }
    static func model(_ grounds: String) -> Proof { Proof(judge: .model, grounds: grounds) }
  }

  /// A commit, message or issue that can be looked up.
  public struct Source: Sendable, Hashable {
    /// A commit of Linux, a Message-Id, or an issue of another project.
    public var reference: String
    public var says: String

    init(_ reference: String, _ says: String) {
      self.reference = reference
      self.says = says
    }
  }

  public enum Severity: Int, Sendable, Hashable, Comparable, CaseIterable {
    case info, low, medium, high, critical
    public static func < (a: Severity, b: Severity) -> Bool { a.rawValue < b.rawValue }
    public var name: String {
      switch self {
      case .info: "info"
      case .low: "low"
      case .medium: "medium"
      case .high: "high"
      case .critical: "critical"
      }
    }
    public init?(name: String) {
      guard let found = Self.allCases.first(where: { $0.name == name }) else { return nil }
      self = found
    }
  }

  /// Breaking it makes a kernel wrong: costs, and facts that hold by design (info), do not.
  public var decidesVerdict: Bool { isCorrectness && severity > .info }

  public func isJudged(by judge: Judge) -> Bool { proofs.contains { $0.judge == judge } }

  /// An id names one rule.
  public static func == (a: Rule, b: Rule) -> Bool { a.id == b.id }
  public func hash(into hasher: inout Hasher) { hasher.combine(id) }
}

extension Rule {
  /// The catalogue: correctness rules first, then costs; within each the worst first.
  public static let all = correctness + costs

  private static let correctness = [
    missedHostSave, staleEnable, missedHostRestore, hostKeyLeak, missedGuestRestore,
    staleHostContext, preemptibleHostSave, unexplained, el2KeysMixed, callOutOfHyp, missedGuestSave,
    switchWithoutFeature,
    featureDenied, partialKeySet, missingISB, oneFeatureOnly, keysLostInMigration, nestedBitsDiffer,
    trapWhileEnabled, bitsDiffer, shadowNotLive, namedLabels,
  ]

  private static let costs = [
    redundantSwitch, redundantHostSave, lazyThrash, wastedTrap, earlyClear, undefStorm, shortLoad,
    eagerUnused,
    fastReentry, guardCost,
  ]

  /// The rules that this judge can find broken, in the catalogue's order.
  public static func judged(by judge: Judge) -> [Rule] { all.filter { $0.isJudged(by: judge) } }

  public init?(id: String) {
    guard let found = Self.all.first(where: { $0.id == id }) else { return nil }
    self = found
  }
}
