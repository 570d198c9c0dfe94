import Observation
import Ptrauth
import Trace

// Load intervals: kvm_arch_vcpu_load .. kvm_arch_vcpu_put, probed or implied.
extension Replayer {
  /// - Parameter sample: the shadow as the load found it.
  mutating func load(
    _ index: Int, _ at: Moment, _ pid: Int32, isImplied: Bool, _ sample: EnableBits? = nil
  ) {
    markRunOver(of: index)
    if !isImplied, vcpus[index].state.loadedOn != nil, probesHit.contains(.vcpuPut) {
      if threads[vcpus[index].tid]?.leftLoaded == true {
        // Switched out, which puts it. A recorder that follows tasks stops at the switch, before the put.
        put(index, at, isImplied: true)
      } else {
        // Loaded twice without a put: events are missing.
        broken(vcpu: index)
      }
    }
    threads[vcpus[index].tid]?.leftLoaded = false
    let before = vcpus[index].state.previouslyOn
    // Where not every load is seen, the one before may have been on any pCPU.
    let isAnywhere = before == nil || !showsEveryLoad
    follow(
      index, isAnywhere ? .loadSomewhere : before == at.cpu ? .load : .loadElsewhere, at, sample)
    let cpu = cpu(at)
    let process = pid
    if let generation, let code {
      let wasLeaningOnTrap = vcpus[index].state.enableInFlight
      if vcpus[index].state.bits.switchesKeys == .set { vcpus[index].loadHadBits = true }
      code.load(&vcpus[index].state, on: at.cpu, &cpu.state, process: process)
      if generation.hostSave == .everyLoad, vcpus[index].state.feature == .both {
        vcpus[index].counters.hostSaves += 1
        cpu.hostSaves += 1
      }
      vcpus[index].loadWasTainted = wasLeaningOnTrap && code.trapIsPreemptible
    } else {
      vcpus[index].state.loadedOn = at.cpu
      vcpus[index].state.bits = .unknown
    }
    threads[vcpus[index].tid]?.hostKeys.save = nil
    vcpus[index].clearedBy = at
    vcpus[index].isEnabledAtHyp = false
    vcpus[index].waste.loaded(at)
    vcpus[index].arrival.putInReset = nil
    // A second load may be that of a reset.
    if vcpus[index].nestedBits?.isLoaded ?? false { vcpus[index].nestedBits = nil }
    vcpus[index].nestedBits?.isLoaded = true
    vcpus[index].counters.loads += 1
    vcpus[index].counters.loadsAreLowerBounds = isImplied
    vcpus[index].loadedSinceEntry = true
    beginInterval(index, at)
    if vcpus[index].interval.saveUnused != nil { noteHostSave(index, at, on: cpu) }
    emit?(.load(vcpus[index].identity, at, isImplied: isImplied))
  }

  mutating func put(_ index: Int, _ at: Moment, isImplied: Bool, _ sample: EnableBits? = nil) {
    threads[vcpus[index].tid]?.leftLoaded = false
    follow(index, .put, at, sample)
    settle(index)
    vcpus[index].arrival.notePut(at)
    vcpus[index].counters.puts += 1
    vcpus[index].isPut = true
    threads[vcpus[index].tid]?.hostKeys.save = nil
    if let code {
      code.put(&vcpus[index].state)
    } else {
      vcpus[index].state.loadedOn = nil
    }
    endInterval(index, at)
    emit?(.put(vcpus[index].identity, at, isImplied: isImplied))
  }

  /// Before a put: the run is complete, unless it waits to hear which register it trapped on
  /// (preempted before handle_exit). Then only its passes are counted now.
  private mutating func settle(_ index: Int) {
    let tid = vcpus[index].tid
    guard let run = threads[tid]?.run, run.vcpu == index, run.exit != nil else { return }
    if run.trap == nil, run.esr == nil, run.ec == ExceptionClass.systemRegister.rawValue {
      vcpus[index].interval.mayHaveTrapped = true
      account(run)
      threads[tid]?.run?.isAccounted = true
    } else {
      closeRun(tid)
    }
  }

  /// Samples of the vCPU from now on belong to another load interval than its last run.
  private mutating func markRunOver(of index: Int) {
    let tid = vcpus[index].tid
    if threads[tid]?.run?.vcpu == index, threads[tid]?.run?.exit != nil {
      threads[tid]?.run?.isOver = true
    }
  }

  /// sched_switch: recorded before the switch. A vCPU thread that is switched out inside KVM_RUN
  /// is put, and loaded when it comes back (the preempt notifiers).
  mutating func schedSwitch(_ at: Moment, prev: Int32, next: Int32) {
    if let inGuest = cpus[at.cpu]?.inGuest, inGuest == prev {
      // Preemption is off between kvm_entry and kvm_exit: the kvm_exit is missing.
      cpus[at.cpu]?.inGuest = nil
      closeRun(prev)
      if let index = threads[prev]?.vcpu { broken(vcpu: index) }
    }
    if let running = cpus[at.cpu]?.running, running != prev { tornSwitches += 1 }
    cpus[at.cpu]?.isIdle = next == 0
    cpus[at.cpu]?.running = next
    if threads[next] != nil { seen(next, on: at.cpu) }
    threads[next]?.isSwitchedOut = false
    threads[next]?.hostKeys.isForeign = .clear
    threads[next]?.hostKeys.isRestored = false
    threads[next]?.hostKeys.leftByExit = []
    if configuration.omissions.cpus > 0 { mayHaveRunUnseen(next) }
    if threads[prev] != nil {
      threads[prev]?.wasSwitchedOut = true
      threads[prev]?.isSwitchedOut = true
      threads[prev]?.leftLoaded = true
      if threads[prev]?.handler?.left == nil {
        threads[prev]?.handler?.left = Moment(time: at.time, cpu: at.cpu, tid: prev)
      }
      if let index = threads[prev]?.vcpu { vcpus[index].arrival.putInReset = nil }
      if !capabilities.hasLoadProbe, threads[prev]?.isInKVMRun == true,
        let index = threads[prev]?.vcpu
      {
        put(index, Moment(time: at.time, cpu: at.cpu, tid: prev), isImplied: true)
      }
    }
    if !capabilities.hasLoadProbe, let thread = threads[next], thread.isInKVMRun == true,
      thread.wasSwitchedOut, let index = thread.vcpu, vcpus[index].state.loadedOn == nil
    {
      load(
        index, Moment(time: at.time, cpu: at.cpu, tid: next), thread.pid, isImplied: true)
      threads[next]?.wasSwitchedOut = false
    }
    if let code, let cpu = cpus[at.cpu] {
      code.taskSwitch(&cpu.state, to: next == 0 ? -1 : (threads[next]?.pid ?? -1))
    }
  }

  mutating func migrate(_ tid: Int32, _ from: Int32, _ to: Int32) {
    departures[from, default: 0] += 1
    guard let thread = threads[tid] else { return }
    if let place = thread.place, place.cpu != from || !place.wasSeen {
      threads[tid]?.skippedAPlace = true
    }
    threads[tid]?.place = (to, false)
  }

  /// The thread runs on `cpu`. Where sched_migrate_task is recorded, it said so before.
  mutating func seen(_ tid: Int32, on cpu: Int32) {
    if capabilities.hasMigrations, let place = threads[tid]?.place, place.cpu != cpu {
      threads[tid]?.skippedAPlace = true
    }
    threads[tid]?.place = (cpu, true)
  }

  /// kvm_userspace_exit: KVM_RUN put the vCPU and returns to EL0.
  mutating func userspaceExit(_ at: Moment) {
    closeRun(at.tid)
    guard let index = threads[at.tid]?.vcpu else { return }
    threads[at.tid]?.hostKeys.mayHaveChanged = true
    threads[at.tid]?.hostKeys.leftByExit.subtract(returnedRegisters)
    // User space may write the slots too (KVM_SET_ONE_REG).
    vcpus[index].guestKeys = nil
    threads[at.tid]?.sampleBeforeEntry = nil
    // The handler of any trap is through.
    if vcpus[index].counters.runs > 0 { vcpus[index].state.enableInFlight = false }
    follow(index, .userspaceExit, at)
    vcpus[index].endHandling(at)
    if !capabilities.hasLoadProbe, threads[at.tid]?.isInKVMRun == true {
      put(index, at, isImplied: true)
    }
    threads[at.tid]?.isInKVMRun = false
  }

  /// At a kvm_entry without load probes: a load lies before it if the thread was put since, or never ran before.
  mutating func implyLoad(_ index: Int, _ at: Moment, _ pid: Int32) {
    guard !capabilities.hasLoadProbe else { return }
    if vcpus[index].state.loadedOn == nil,
      vcpus[index].isPut || threads[at.tid]?.isInKVMRun == false
        || vcpus[index].counters.runs == 0 && threads[at.tid]?.isBornHere == true
    {
      load(index, at, pid, isImplied: true)
    }
    threads[at.tid]?.wasSwitchedOut = false
  }

  // MARK: Costs

  private mutating func beginInterval(_ index: Int, _ at: Moment) {
    vcpus[index].interval = LoadInterval()
    vcpus[index].interval.begin = at
    vcpus[index].interval.isTainted = vcpus[index].loadWasTainted
    if generation?.hostSave == .everyLoad, vcpus[index].state.feature == .both {
      vcpus[index].interval.saveUnused = at
    }
  }

  private mutating func endInterval(_ index: Int, _ at: Moment) {
    let interval = vcpus[index].interval
    endObservation(index)
    defer { vcpus[index].interval = LoadInterval() }
    // Without either event it is not known whether it ran.
    guard let begin = interval.begin, capabilities.hasEntryAndExit else { return }
    let identity = vcpus[index].identity
    judgeWaste(of: interval, index, at)
    if interval.switchedPasses > 1, let first = interval.firstSwitched,
      let last = interval.lastSwitched
    {
      let gaps = interval.switchedPasses - 1
      // The kernel's own APIA is consumed in every gap if it uses pointer authentication.
      let keys = configuration.kernelUsesPointerAuth == false ? 5 : 4
      log.add(
        .redundantSwitch, .proved, vcpu: identity, at: last, cost: .redundantGap(keys: keys) * gaps,
        count: gaps
      ) {
        (
          "\(interval.switchedPasses) passes of one load interval switched keys; nobody used the "
            + "host's keys in between",
          [
            Evidence(begin, "kvm_arch_vcpu_load"),
            Evidence(first, "kvm_entry", "keys switched"),
            Evidence(last, "kvm_entry", "keys switched again"),
            Evidence(at, "kvm_arch_vcpu_put"),
          ]
        )
      }
    }
    if let save = interval.saveUnused {
      let saver = generation?.hostSave == .everyLoad ? "kvm_arch_vcpu_load" : "host save"
      log.add(.redundantHostSave, .proved, vcpu: identity, at: save, cost: .hostSave) {
        (
          "host keys were saved, and the load interval ended before a run could restore them",
          [
            Evidence(save, saver),
            Evidence(at, "kvm_arch_vcpu_put", "no switched run in between"),
          ]
        )
      }
    }
  }
}
