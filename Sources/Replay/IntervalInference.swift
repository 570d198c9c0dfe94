import Ptrauth

/// What kvm tracepoints alone prove about the bits of one vCPU.
///
/// Nothing says how a ptrauth trap was answered, so a trap proves only that the bit was 0 *until*
/// then. Within one load interval the bits never go from 1 to 0, so it was 0 since the interval
/// began:
///
///     load      run  run  run*trap   run  run  put
///     │◀──────── 0 ───────▶│◀── unknown ──▶│
///
/// Two more facts: a vCPU whose whole life was recorded has 0 until its first trap; and two runs in a
/// row that trap at different addresses, with no load in between, mean that the first was
/// answered with an UNDEF: such a vCPU has no ptrauth, and its bits are always 0.
struct IntervalInference {
  /// The vCPU was created within the recording and no event was lost since.
  var isWholeLifeSeen = false
  var everTrapped = false
  /// Traps are answered with UNDEF.
  var lacksFeature = false
  /// A trap was already seen in this load interval.
  var trappedInInterval = false
  /// A handler was preempted over the load: its enable may land in this interval.
  var isTainted = false
  /// The last run, if it trapped and no load came since.
  var previousTrap: (pc: UInt64, trap: PtrauthTrap)?
  /// Runs of this interval that wait for a trap to prove them.
  var waiting: [Run] = []

  /// More runs than this in one interval are not kept waiting.
  static let window = 4096

  mutating func wall() {
    isWholeLifeSeen = false
    everTrapped = true
    trappedInInterval = true
    previousTrap = nil
  }

  mutating func beginInterval(tainted: Bool) {
    trappedInInterval = false
    previousTrap = nil
    isTainted = tainted
  }
}

extension Replayer {
  /// Decides what can be said of a run that no sample decides, from traps alone.
  mutating func infer(_ line: Run, _ run: OpenRun, _ index: Int) {
    guard canInfer, !mayBeNested(index) else { return say(line, index) }
    var line = line
    var known = vcpus[index].inference
    defer { vcpus[index].inference = known }
    let zero = KnownBits(.clear, .implied)
    if run.isFirstOfInterval {
      flush(&known, index, as: nil)
      known.beginInterval(tainted: run.isTainted)
    }
    if run.trap == nil, run.hypTraps > 0 {
      // Handled at EL2: until then the bits were 0.
      flush(&known, index, as: known.trappedInInterval || known.isTainted ? nil : zero)
      known.trappedInInterval = true
      known.everTrapped = true
      known.previousTrap = nil
      return say(line, index)
    }
    if run.startsEnabled { return say(line, index) }
    if let trap = run.trap {
      let follows = known.previousTrap.map { isAnotherUse($0, trap, run) } ?? false
      if follows || (hidesTraps && !configuration.generationIsWeak) {
        known.lacksFeature = true
      }
      let isFirst = !known.trappedInInterval && !known.isTainted
      if known.lacksFeature || isFirst {
        flush(&known, index, as: zero)
        line.atEntry = zero
        line.atExit = KnownBits(.clear, .observed)
      }
      known.trappedInInterval = true
      known.everTrapped = true
      known.previousTrap = (run.exitPC, trap)
      return say(line, index)
    }
    known.previousTrap = nil
    if run.mayBeKeyTrap, !known.lacksFeature {
      // If it was one, the bits may be set from here on.
      known.everTrapped = true
      known.trappedInInterval = true
      flush(&known, index, as: nil)
      return say(line, index)
    }
    if known.lacksFeature || (known.isWholeLifeSeen && !known.everTrapped && showsEveryTrap) {
      line.atEntry = zero
      line.atExit = zero
      return say(line, index)
    }
    if known.trappedInInterval || known.isTainted { return say(line, index) }
    known.waiting.append(line)
    if known.waiting.count > IntervalInference.window { flush(&known, index, as: nil) }
  }

  /// Load intervals can be told apart, and the generation says what a trap means.
  private var canInfer: Bool {
    !capabilities.samplesShadow && seesLoads
  }

  var seesLoads: Bool { generation != nil && showsLoads }

  /// Each load is recorded, or implied by what is.
  var showsLoads: Bool {
    (capabilities.hasLoadProbe && probesHit.contains(.vcpuLoad))
      || (capabilities.hasSchedSwitch && capabilities.hasUserspaceExit)
  }

  /// Traps of vCPUs with the feature do not reach the host.
  private var hidesTraps: Bool { generation?.trap != .reachesHost }

  /// A nested guest's bits are its hypervisor's, change without an event, and its traps reach the host.
  private func mayBeNested(_ index: Int) -> Bool {
    guard generation?.nestedBits == .fromGuest else { return false }
    if vcpus[index].state.feature != .unknown { return vcpus[index].isNested }
    return sawNested || !capabilities.hasNestedEvents
  }

  private var showsEveryTrap: Bool { !hidesTraps && !configuration.generationIsWeak }

  /// The second of two trapping runs in a row was not a retry of the first, and needs a bit that
  /// answering the first would have set.
  private func isAnotherUse(
    _ previous: (pc: UInt64, trap: PtrauthTrap), _ trap: PtrauthTrap, _ run: OpenRun
  ) -> Bool {
    guard previous.pc != run.exitPC else { return false }
    switch (previous.trap, trap) {
    case (.instruction, .register): return false
    default: return true
    }
  }

  /// Says the waiting runs: with `bits` at both ends, or unknown.
  mutating func flush(_ known: inout IntervalInference, _ index: Int, as bits: KnownBits?) {
    let waiting = known.waiting
    known.waiting = []
    for var run in waiting {
      if let bits {
        run.atEntry = bits
        run.atExit = bits
      }
      say(run, index)
    }
  }
}
