/// A way to switch keys, as what it pays for what: adding a policy is adding a value.
///
/// The replay keeps the recorded schedule. A policy changes what happens at its events, not when they
/// happen: effects on preemption and interrupts are not seen.
public struct Policy: Sendable, Hashable {
  public var id: String
  public var title: String
  /// The generations that switch keys so, by id.
  public var generations: Set<String> = []
  /// What it takes to be correct.
  public var needs: Need = .nothing
  /// It could be chosen; the others only bound or contrast.
  public var isCandidate = true

  // What is paid for each:
  var load = CostVector.zero
  /// Load interval in which the guest uses pointer authentication; the same, if its put comes from a
  /// task switch.
  var use = CostVector.zero
  var useEndingInSwitch: CostVector?
  /// Recorded trap that reached the host.
  var trap = CostVector.zero
  /// Pass before the first use, or without one; from the first use on; cut by a trap and not retried.
  var quietPass = CostVector.zero
  var usedPass = CostVector.zero
  var cutPass = CostVector.zero
  /// Use after the first in an interval: no event shows it.
  var laterUse = CostVector.zero
  /// It depends on the intervals before: see ``Hysteresis``.
  var remembers = false

  public enum Need: Sendable, Hashable {
    case nothing
    /// The host's own code must not sign or authenticate pointers while a vCPU is loaded.
    case hostWithoutPointerAuth
  }

  /// Correct on a kernel with or without CONFIG_ARM64_PTR_AUTH_KERNEL; nil if that is not known.
  public func isLegal(kernelUsesPointerAuth: Bool?) -> Bool? {
    switch needs {
    case .nothing: true
    case .hostWithoutPointerAuth: kernelUsesPointerAuth.map { !$0 }
    }
  }
}

extension Policy {
  /// All policies, for one kernel.
  public static func all(hysteresis depth: Int, kernelUsesPointerAuth: Bool?) -> [Policy] {
    [
      never, eagerPerEntry, eagerPerLoad, lazyV7, lazyLoadSave, lazyHyp, lazyHysteresis(depth),
      atPut, atPutLazy, splitAPIA, oracle(kernelUsesPointerAuth),
    ]
  }

  public static let never = with("never", "feature off: every use is a trap and an UNDEF") {
    $0.use = .fullTrip
    $0.laterUse = .fullTrip
    $0.isCandidate = false
  }
  public static let eagerPerEntry = with("eager-entry", "always on, host saved at every entry") {
    $0.generations = ["G1"]
    let pass: CostVector = .save + .restore + .save + .restore
    ($0.quietPass, $0.usedPass, $0.cutPass) = (pass, pass, pass)
  }
  public static let eagerPerLoad = with("eager-load", "always on, host saved at every load") {
    $0.generations = ["G6"]
    $0.load = .save
    ($0.quietPass, $0.usedPass, $0.cutPass) = (.switchedPass, .switchedPass, .switchedPass)
  }
  public static let lazyV7 = with("lazy-v7", "first use traps to the host, which saves then") {
    $0.generations = ["G2", "G3"]
    $0.trap = .fullTrip + .save
    $0.usedPass = .switchedPass
  }
  public static let lazyLoadSave = with(
    "lazy-load", "first use traps to the host, saved at every load"
  ) {
    $0.generations = ["G3s"]
    $0.load = .save
    $0.trap = .fullTrip
    $0.usedPass = .switchedPass
  }
  public static let lazyHyp = with("lazy-hyp", "first use handled and saved at EL2") {
    $0.generations = ["G4", "G5"]
    $0.use = .hypTrip + .save
    ($0.usedPass, $0.cutPass) = (.switchedPass, .switchedPass)
  }
  public static func lazyHysteresis(_ depth: Int) -> Policy {
    with(
      "lazy-keep-\(depth)",
      "lazy-hyp, but on from the load if used in one of the last \(depth) intervals"
    ) { $0.remembers = true }
  }
  public static let atPut = with("at-put", "switched at load and put, not per pass") {
    $0.needs = .hostWithoutPointerAuth
    $0.load = .save + .restore + .save + .restore + CostVector(isb: 1)
  }
  public static let atPutLazy = with("at-put-lazy", "at-put, from the first use on, found at EL2") {
    $0.needs = .hostWithoutPointerAuth
    $0.use = .hypTrip + .save + .restore + .save + .restore + CostVector(isb: 1)
  }
  public static let splitAPIA = with("split-apia", "APIA per pass, the other four at load and put")
  {
    let four = CostVector(mrs: 8, msr: 8, pairs: 8)
    $0.load = four + four
    let pass = CostVector.switchedPassOfOneKey
    ($0.quietPass, $0.usedPass, $0.cutPass) = (pass, pass, pass)
  }
  /// A lower bound for every correct policy: knows each use beforehand; one guest restore and save per
  /// used interval; the host's keys come from its thread_struct, at the put unless a task switch
  /// installs the next task's, and in every gap for a kernel that uses its APIA there.
  public static func oracle(_ kernelUsesPointerAuth: Bool?) -> Policy {
    with("oracle", "lower bound: keys are switched for a consumer only") {
      $0.isCandidate = false
      $0.use = .restore + .save + .restore
      $0.useEndingInSwitch = .restore + .save
      if kernelUsesPointerAuth == true {
        // The first pass of an interval is in `use` already; a used interval has at least one.
        $0.use = CostVector(mrs: 8, msr: 16, pairs: 12)
        $0.useEndingInSwitch = CostVector(mrs: 8, msr: 8, pairs: 8)
        ($0.usedPass, $0.cutPass) = (.switchedPassOfOneKey, .switchedPassOfOneKey)
      }
    }
  }

  private static func with(
    _ id: String, _ title: String, _ set: (inout Policy) -> Void
  ) -> Policy {
    var policy = Policy(id: id, title: title)
    set(&policy)
    return policy
  }
}
