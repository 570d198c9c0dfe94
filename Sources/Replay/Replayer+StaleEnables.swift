import Ptrauth
import Trace

// Bits that are set behind a load, and who but the load may have left them.
extension Replayer {
  /// After a load that clears, the model expects 0; no trap was in flight that could have set it.
  mutating func staleEnable(_ run: OpenRun, _ sample: EnableBits) -> PendingFinding? {
    guard let generation, generation.load == .clears, !configuration.generationIsWeak,
      vcpus[run.vcpu].state.feature == .both,
      run.expected == .clear, let load = run.load
    else { return nil }
    if run.followsSkippedPlace {
      // Or a trap of the vCPU, where it was not recorded, set them.
      if sample.switchesKeys == .set { undecided.note(.staleEnable, .skippedPlace) }
      return nil
    }
    if load.hadBits { exercise(.staleEnable, run.vcpu) }
    guard sample.switchesKeys == .set else { return nil }
    var found = PendingFinding(
      vcpu: run.vcpu, lastExit: run.windowStart, load: load.at, loadedSince: load.at.time,
      enter: run.enter,
      exit: run.exit?.time ?? run.enter.time, bits: sample)
    found.followsWall = run.windowStart == nil && vcpus[run.vcpu].counters.runs > 1
    if load.isImplied { found.loadedSince = run.windowStart?.time ?? 0 }
    found.doubt = load.found?.switchesKeys == .clear ? .foundClear : doubt(of: found)
    switch run.restored {
    case .own: break
    case _ where run.exit == nil || !run.certainlyEntered: break
    case .others(let own): found.foreign = .differ(from: own)
    case .anothers(let own): found.foreign = .anothers(since: own)
    case .otherProcess(let process, let since): found.foreign = .keysOf(process, since: since)
    case .moved: break
    case nil:
      if let slots = cpus[run.cpu]?.state.hostSlots, slots.isFresh == .clear,
        let saver = slots.process, saver >= 0,
        vcpus[run.vcpu].pid >= 0, saver != vcpus[run.vcpu].pid
      {
        found.foreign = .process(saver)
      }
    }
    found.ownMayBeGuests = threads[run.enter.tid]?.hostKeys.learned?.isOfRestored ?? false
    return found
  }

  /// Who but the load may have been at fault: the bits belong to the vCPU, and other code may write them.
  private mutating func doubt(of found: PendingFinding) -> StaleDoubt? {
    guard lookups.mayVisit(vcpus.count, after: eventCount) else { return .crowd }
    for other in vcpus.indices where other != found.vcpu {
      guard let handling = vcpus[other].handlings.meeting(found.loadedSince, found.enter.time),
        !wasOut(threads[vcpus[other].tid], since: found.loadedSince)
      else { continue }
      return .handler(thread: vcpus[other].tid, begin: handling.begin)
    }
    return nil
  }

  /// The thread ran nowhere from then until now.
  private func wasOut(_ thread: ThreadRecord?, since time: UInt64) -> Bool {
    guard configuration.omissions.cpus == 0, !leavesOutTasks, let since = thread?.outSince else {
      return false
    }
    return since <= time
  }

  /// This handler set its own vCPU's bits, or was none: what was in doubt for it may be for another.
  mutating func reconsider(_ handling: TrapHandling, of thread: Int32) {
    for number in pendingFindings.takeDoubted(thread: thread, begin: handling.begin) {
      guard let found = pendingFindings[number] else { continue }
      pendingFindings.setDoubt(of: number, doubt(of: found))
    }
  }
}
