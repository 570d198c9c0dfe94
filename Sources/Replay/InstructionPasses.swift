public import KernelImage
public import Trace

/// Passes counted from samples that say which instructions ran.
public struct InstructionPasses: Sendable {
  /// What the counts are.
  public enum Certainty: String, Sendable, Comparable {
    /// Some of what ran, and it is not known what is missing: no bound.
    case sample
    /// There were these, and perhaps more.
    case atLeast = "at least"
    case exactly

    public static func < (a: Self, b: Self) -> Bool { a.rank < b.rank }
    private var rank: Int {
      switch self {
      case .sample: 0
      case .atLeast: 1
      case .exactly: 2
      }
    }
  }

  /// The event whose samples were counted.
  public var event: String
  public var certainty: Certainty
  /// Why it is no better, in clauses.
  public var reasons: [String]
  /// By pCPU, ascending; -1: the samples do not name it.
  public var cpus: [(cpu: Int, passes: PassCounts)]
  public var byThread: [Int32: PassCounts]
  public var total: PassCounts
  /// Threads with a run, from kvm_entry to kvm_exit, in which the trace has no call of __guest_enter.
  public var threadsWithOtherRuns: Set<Int32> = []

  package init(
    event: String, certainty: Certainty, reasons: [String], cpus: [(cpu: Int, passes: PassCounts)],
    byThread: [Int32: PassCounts], total: PassCounts
  ) {
    self.event = event
    self.certainty = certainty
    self.reasons = reasons
    self.cpus = cpus
    self.byThread = byThread
    self.total = total
  }

  /// Passes that switched keys: each enters once and exits once, and either end proves it.
  public static func switched(_ passes: PassCounts) -> UInt64 {
    max(passes.switchedEntries, passes.switchedExits)
  }
}
