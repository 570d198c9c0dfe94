import Ptrauth

// What other policies would have had to do: each load interval, reduced to its passes and first use.
extension Replayer {
  /// Adds a run to its load interval. A run that may not have entered the guest adds no pass.
  mutating func observe(_ run: OpenRun, _ atEntry: KnownBits, _ atExit: KnownBits) {
    guard let trap = generation?.trap else { return }
    let index = run.vcpu
    let pass: UInt64 = run.certainlyEntered ? 1 : 0
    let isTainted = vcpus[index].interval.isTainted
    var seen = vcpus[index].interval.seen
    switch (trap, run.trap) {
    case (.reachesHost, .some):
      seen.use = .set
      seen.traps += 1
      // Until the retry.
      seen.isCut = true
    case (_, .some): break  // An UNDEF: such a vCPU has no ptrauth.
    case (.never, nil):
      // (One that may not have entered the guest may have.)
      seen.use = .unknown
      seen.unknownPasses += pass
    case (_, nil):
      switch atExit.bits.switchesKeys {
      case .set where atEntry.bits.switchesKeys != .set && run.ret != 2:
        // Trapped at EL2 and enabled; whether the pass that followed began is not known.
        seen.use = .set
        seen.unknownPasses += pass
      case .set
      where atEntry.bits.switchesKeys != .set || seen.use == .set || isTainted && pass > 0:
        seen.use = .set
        seen.usedPasses += pass
        if pass > 0 { seen.isCut = false }
      case .set:
        // No trap of this interval set them: whether the guest used them does not show.
        seen.use = .unknown
        seen.unknownPasses += pass
      case .clear: seen.quietPasses += pass
      case .unknown where trap == .reachesHost && seen.use == .set && !isTainted:
        // The trap was answered, and only a load takes the bits away again.
        seen.usedPasses += pass
        if pass > 0 { seen.isCut = false }
      case .unknown where trap == .reachesHost && !isTainted:
        // No trap, no use.
        seen.quietPasses += pass
      case .unknown:
        if seen.use == .clear, pass > 0 { seen.use = .unknown }
        seen.unknownPasses += pass
      }
    }
    vcpus[index].interval.seen = seen
  }

  /// The load interval is over: it goes into the vCPU's schedule if its beginning was seen.
  mutating func endObservation(_ index: Int) {
    let hasBegun = vcpus[index].interval.begin != nil
    vcpus[index].lastIsInSchedule = hasBegun
    guard hasBegun else {
      if vcpus[index].schedule.loads == 0, vcpus[index].schedule.leftOut == 0,
        vcpus[index].interval.runs > 0
      {
        vcpus[index].schedule.leftOut = 1
      }
      return
    }
    var seen = vcpus[index].interval.seen
    if capabilities.hasSchedSwitch {
      seen.endsInSwitch = Bit(threads[vcpus[index].tid]?.isSwitchedOut ?? false)
    }
    vcpus[index].schedule.showsTraps = generation?.trap == .reachesHost
    vcpus[index].schedule.add(seen)
  }
}
