/// One load interval (kvm_arch_vcpu_load .. kvm_arch_vcpu_put) of a vCPU, as far as a policy cares.
///
///     load   quiet passes   │ first use ─▶ used passes │   put
///            nobody used it │ maybe, maybe not: the bits stay set
///
/// A pass that a ptrauth trap cut in two (trapped, then retried with ptrauth enabled) is one used pass.
/// Passes without an event of their own are missing here: all numbers of passes are lower bounds.
public struct LoadObservation: Sendable, Hashable {
  /// The guest used pointer authentication in it.
  public var use: Bit = .clear
  /// Passes before the first use; all of them, where there is none.
  public var quietPasses: UInt64 = 0
  /// Passes from the first use on.
  public var usedPasses: UInt64 = 0
  /// Passes of which it is not known whether they came after a first use.
  public var unknownPasses: UInt64 = 0
  /// The pass that trapped was not retried before the put.
  public var isCut = false
  /// Ptrauth traps that reached the host and were answered.
  public var traps: UInt64 = 0
  /// The put comes from a switch to another task, which gets its own keys.
  public var endsInSwitch: Bit = .unknown

  public init() {}
}

/// The load intervals of one vCPU, added up, and what is not known of them. Every policy but those that
/// remember is linear in these.
public struct Schedule: Sendable, Hashable {
  public var loads: UInt64 = 0
  /// Loads may be missing: nothing recorded them, other events imply them.
  public var loadsAreLowerBounds = false
  /// Intervals in which the guest used pointer authentication, and in which it may have.
  public var used: UInt64 = 0
  public var maybeUsed: UInt64 = 0
  /// Of `used`, those whose put is known to come from a task switch, or may.
  public var usedEndingInSwitch: UInt64 = 0
  public var traps: UInt64 = 0
  /// Intervals with a trap: a kernel with a fault may trap again and again in one.
  public var trapped: UInt64 = 0
  /// Traps of this vCPU reach the host: `traps` are all there were.
  public var showsTraps = false
  public var quietPasses: UInt64 = 0
  public var usedPasses: UInt64 = 0
  public var unknownPasses: UInt64 = 0
  public var cutPasses: UInt64 = 0
  /// Every pass has its event (7.x, nVHE): numbers of passes are exact.
  public var passesAreExact = false
  /// Intervals that a loss, or the beginning of the recording, touches: not counted above.
  public var leftOut: UInt64 = 0
  public var memory: Hysteresis

  public init(hysteresis depth: Int) { memory = Hysteresis(depth: depth) }

  public mutating func add(_ interval: LoadObservation) {
    loads += 1
    traps += interval.traps
    trapped += min(1, interval.traps)
    quietPasses += interval.quietPasses
    usedPasses += interval.usedPasses
    unknownPasses += interval.unknownPasses
    if interval.isCut { cutPasses += 1 }
    switch interval.use {
    case .set:
      used += 1
      if interval.endsInSwitch != .clear { usedEndingInSwitch += 1 }
    case .clear: break
    case .unknown: maybeUsed += 1
    }
    memory.add(interval)
  }

  /// The last interval turns out to have ended with a trap: the run was preempted before it was known
  /// what it trapped on. Its pass was counted as a quiet one, `wasCounted`.
  public mutating func lastIntervalTrapped(wasCounted: Bool) {
    traps += 1
    guard loads > 0 else { return }
    if wasCounted, quietPasses > 0 { quietPasses -= 1 }
    cutPasses += 1
    switch memory.correctLast() {
    case .set: return
    case .unknown: maybeUsed -= 1
    case .clear: break
    }
    trapped += 1
    used += 1
  }

  /// Passes that certainly took place.
  public var passes: UInt64 { quietPasses + usedPasses + unknownPasses + cutPasses }
}
