import Observation
import Ptrauth
import Trace

// Events that are missing show by those that are there: what cannot follow on one another was parted by others.
extension Replayer {
  /// The vCPU's events do not follow on one another: some are missing.
  mutating func broken(vcpu index: Int) {
    // Without either event none of the sequences can be told.
    if !isThinned, capabilities.hasEntryAndExit {
      breaks.note(lastTime, since: firstTime ?? lastTime)
    }
    walls.saverEra += 1
    threads[vcpus[index].tid]?.hostKeys.wall()
    // Behind its last run that was whole.
    if !capabilities.samplesShadow {
      refutations.forget(since: vcpus[index].lastExit?.time ?? 0)
    }
    wall(index)
  }

  /// Its kvm_entry or kvm_exit is not there: where the recorder had not turned them on yet, or behind a loss.
  mutating func ranUnseen(vcpu index: Int) {
    threads[vcpus[index].tid]?.hostKeys.wall()
    wall(index)
  }

  /// Between two turns on recorded pCPUs the thread may have had one on a pCPU that was not recorded.
  mutating func mayHaveRunUnseen(_ tid: Int32) {
    guard let index = threads[tid]?.vcpu, vcpus[index].tid == tid else { return }
    closeRun(tid)
    threads[tid]?.hostKeys.wall()
    threads[tid]?.sampleBeforeEntry = nil
    threads[tid]?.isInKVMRun = nil
    threads[tid]?.awaitsHandler = .unknown
    threads[tid]?.handler = nil
    wall(index)
  }

  /// The vCPU was put and loaded elsewhere, which nothing records.
  mutating func moved(vcpu index: Int) {
    vcpus[index].state.loadedOn = nil
    vcpus[index].state.bits = .unknown
    vcpus[index].isEnabledAtHyp = false
    forgetModel(index)
  }

  /// handle_exit comes once for each kvm_exit.
  mutating func noteHandledExit(
    _ index: Int, _ thread: ThreadRecord, _ at: Moment, _ sample: EnableBits?,
    _ event: borrowing Event
  ) {
    defer { thread.awaitsHandler = .clear }
    guard capabilities.hasEntryAndExit, !endUnseen(index, thread, at) else { return }
    switch thread.awaitsHandler {
    case .set: compareExit(thread.run, event)
    case .clear: broken(vcpu: index)
    case .unknown where exitedBeforeLoad(index, at, cpus[at.cpu]?.firstWholeRun): break
    case .unknown:
      if sample?.switchesKeys == .set, isNoKeyTrap(event), vcpus[index].state.feature == .both,
        generation?.load == .clears, exitedBeforeLoad(index, at, firstWholeRun)
      {
        undecided.note(.staleEnable, .begun)
      }
      ranUnseen(vcpu: index)
    }
  }

  /// What only comes behind a kvm_exit: that is missing, and whatever follows is of another run.
  mutating func endUnseen(_ index: Int, _ thread: ThreadRecord, _ at: Moment) -> Bool {
    guard thread.run != nil, thread.run?.exit == nil else { return false }
    closeRun(of: thread, at.tid)
    broken(vcpu: index)
    return true
  }

  /// What exit is handled now, was before the vCPU was loaded here: behind that a run would have been seen.
  ///
  /// - Parameter since: when each run began to be seen; nil: not by now.
  private func exitedBeforeLoad(_ index: Int, _ at: Moment, _ since: UInt64?) -> Bool {
    guard let load = vcpus[index].load?.at, load.tid == at.tid, load.cpu == at.cpu, let since
    else { return false }
    return since <= load.time
  }

  /// Probes that come in each pass did not: loads may lack theirs too.
  func lacksProbes(_ thread: ThreadRecord, _ run: OpenRun) -> Bool {
    capabilities.samplesShadow && run.entrySample == nil && probesHit.contains(.flush)
      || thread.awaitsHandler == .set && probesHit.contains(.handleExit)
  }
}
