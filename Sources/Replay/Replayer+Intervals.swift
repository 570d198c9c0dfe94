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
    let thread = threads[vcpus[index].tid]
    if !isImplied, vcpus[index].state.loadedOn != nil, probesHit.contains(.vcpuPut),
      !vcpus[index].interval.isImplied
    {
      if thread?.leftLoaded == true {
        // Switched out, which puts it. A recorder that follows tasks stops at the switch, before the put.
        put(index, at, isImplied: true)
      } else {
        // Loaded twice without a put: events are missing.
        broken(vcpu: index)
      }
    }
    thread?.leftLoaded = false
    let before = vcpus[index].state.previouslyOn
    // Where not every load is seen, the one before may have been on any pCPU.
    let isAnywhere = before == nil || !showsEveryLoad
    follow(
      index, isAnywhere ? .loadSomewhere : before == at.cpu ? .load : .loadElsewhere, at, sample)
    let cpu = cpu(at)
    let process = pid
    var behind = LoadBehind(at: at, isImplied: isImplied, found: sample)
    behind.hadBits = vcpus[index].load?.hadBits ?? false
    if let code {
      var state = vcpus[index].state
      var cpuState = cpu.state
      let wasLeaningOnTrap = state.enableInFlight
      if state.bits.switchesKeys == .set { behind.hadBits = true }
      code.load(&state, on: at.cpu, &cpuState, process: process)
      vcpus[index].state = state
      cpu.state = cpuState
      if generation?.hostSave == .everyLoad, state.feature == .both {
        vcpus[index].counters.hostSaves += 1
        cpu.hostSaves += 1
      }
      behind.isTainted = wasLeaningOnTrap && code.trapIsPreemptible
    } else {
      vcpus[index].state.loadedOn = at.cpu
      vcpus[index].state.bits = .unknown
    }
    thread?.hostKeys.save = nil
    vcpus[index].load = behind
    vcpus[index].isEnabledAtHyp = false
    vcpus[index].waste.loaded(at)
    vcpus[index].openTrap?.isLoaded = true
    vcpus[index].arrival.putInReset = nil
    if !isImplied {
      judgeUnloaded(index)
      tellTraps(index)
    }
    vcpus[index].nestedBits?.loads += 1
    vcpus[index].guestKeysRun = nil
    vcpus[index].counters.loads += 1
    beginInterval(index, behind)
    if vcpus[index].interval.saveUnused != nil { noteHostSave(index, at, on: cpu) }
    emit?(.load(vcpus[index].identity, at, isImplied: isImplied))
  }

  mutating func put(_ index: Int, _ at: Moment, isImplied: Bool, _ sample: EnableBits? = nil) {
    let tid = vcpus[index].tid
    let thread = threads[tid]
    thread?.leftLoaded = false
    if isTold(index, putIsImplied: isImplied) {
      if sample?.switchesKeys == .set { settleTrap(index, .enabled) }
      return
    }
    vcpus[index].lastPutIsImplied = isImplied
    follow(index, .put, at, sample)
    if sample?.switchesKeys == .set { settleTrap(index, .enabled) }
    if let thread { settle(index, thread, tid) }
    vcpus[index].arrival.notePut(at)
    vcpus[index].counters.puts += 1
    vcpus[index].isPut = true
    vcpus[index].nestedBits?.puts += 1
    vcpus[index].guestKeysRun = nil
    thread?.hostKeys.save = nil
    if let code {
      code.put(&vcpus[index].state)
    } else {
      vcpus[index].state.loadedOn = nil
    }
    endInterval(index, at)
    emit?(.put(vcpus[index].identity, at, isImplied: isImplied))
  }

  /// A put of which two events tell: it is probed, and a switch behind which it comes, or a return to user space, implies
  /// it.
  private func isTold(_ index: Int, putIsImplied: Bool) -> Bool {
    !capabilities.hasLoadProbe && vcpus[index].isPut && vcpus[index].state.loadedOn == nil
      && vcpus[index].lastPutIsImplied != putIsImplied
  }

  /// Before a put: the run is complete, unless it waits to hear which register it trapped on
  /// (preempted before handle_exit). Then only its passes are counted now.
  private mutating func settle(_ index: Int, _ thread: ThreadRecord, _ tid: Int32) {
    guard thread.run?.vcpu == index, thread.run?.exit != nil else { return }
    if let run = thread.run, run.trap == nil, run.esr == nil,
      run.ec == ExceptionClass.systemRegister.rawValue
    {
      vcpus[index].interval.mayHaveTrapped = true
      account(run)
      thread.run?.isAccounted = true
    } else {
      closeRun(of: thread, tid)
    }
  }

  /// Samples of the vCPU from now on belong to another load interval than its last run.
  private mutating func markRunOver(of index: Int) {
    guard let thread = threads[vcpus[index].tid] else { return }
    if thread.run?.vcpu == index, thread.run?.exit != nil { thread.run?.isOver = true }
  }

  /// sched_switch: recorded before the switch. A vCPU thread that is switched out inside KVM_RUN
  /// is put, and loaded when it comes back (the preempt notifiers).
  mutating func schedSwitch(_ at: Moment, prev: Int32, next: Int32) {
    let cpu = cpus[at.cpu]
    let leaving = threads[prev]
    let coming = threads[next]
    if cpu?.inGuest == prev {
      // Preemption is off between kvm_entry and kvm_exit: the kvm_exit is missing.
      cpu?.inGuest = nil
      if let leaving { closeRun(of: leaving, prev) }
      if let index = leaving?.vcpu { broken(vcpu: index) }
    }
    if let cpu {
      if let running = cpu.running, running != prev { tornSwitches += 1 }
      cpu.isIdle = next == 0
      cpu.running = next
    }
    if let coming {
      seen(coming, on: at.cpu)
      coming.isSwitchedOut = false
      coming.outSince = nil
      coming.hostKeys.isForeign = .clear
      coming.hostKeys.isRestored = false
      coming.hostKeys.leftByExit = []
    }
    if configuration.omissions.cpus > 0 { mayHaveRunUnseen(next) }
    if let leaving {
      leaving.wasSwitchedOut = true
      leaving.isSwitchedOut = true
      leaving.outSince = at.time
      leaving.leftLoaded = true
      if leaving.handler?.left == nil {
        leaving.handler?.left = Moment(time: at.time, cpu: at.cpu, tid: prev)
      }
      // Whether it had saved anything, the slots alone show.
      if leaving.handler != nil { cpu?.state.hostSlots = .unknown }
      if let index = leaving.vcpu { vcpus[index].arrival.putInReset = nil }
      if !capabilities.hasLoadProbe, leaving.isInKVMRun == true, let index = leaving.vcpu {
        // It was put before: it is on its way to user space.
        if vcpus[index].isPut, vcpus[index].state.loadedOn == nil { leaving.wasSwitchedOut = false }
        put(index, Moment(time: at.time, cpu: at.cpu, tid: prev), isImplied: true)
      }
    }
    if !capabilities.hasLoadProbe, let coming, coming.isInKVMRun == true, coming.wasSwitchedOut,
      let index = coming.vcpu, vcpus[index].state.loadedOn == nil
    {
      load(index, Moment(time: at.time, cpu: at.cpu, tid: next), coming.pid, isImplied: true)
      coming.wasSwitchedOut = false
    }
    if let code, let cpu = cpu ?? cpus[at.cpu] {
      var state = cpu.state
      code.taskSwitch(&state, to: next == 0 ? -1 : coming?.pid ?? -1)
      cpu.state = state
    }
  }

  mutating func migrate(_ tid: Int32, _ from: Int32, _ to: Int32) {
    departures[from, default: 0] += 1
    guard let thread = threads[tid] else { return }
    if let place = thread.place, place.cpu != from || !place.wasSeen {
      thread.skippedAPlace = true
    }
    thread.place = (to, false)
  }

  /// The thread runs on `cpu`. Where sched_migrate_task is recorded, it said so before.
  func seen(_ thread: ThreadRecord, on cpu: Int32) {
    if capabilities.hasMigrations, let place = thread.place, place.cpu != cpu {
      thread.skippedAPlace = true
    }
    thread.place = (cpu, true)
  }

  /// kvm_userspace_exit: KVM_RUN put the vCPU and returns to EL0.
  mutating func userspaceExit(_ at: Moment) {
    guard let thread = threads[at.tid] else { return }
    closeRun(of: thread, at.tid)
    guard let index = thread.vcpu else { return }
    thread.hostKeys.mayHaveChanged = true
    thread.hostKeys.leftByExit.subtract(returnedRegisters)
    // User space may write the slots too (KVM_SET_ONE_REG).
    vcpus[index].guestKeys = nil
    vcpus[index].keysAtPut = nil
    thread.sampleBeforeEntry = nil
    // The handler of any trap is through.
    if vcpus[index].counters.runs > 0 { vcpus[index].state.enableInFlight = false }
    follow(index, .userspaceExit, at)
    _ = vcpus[index].handlings.end(at.time, bits: nil)
    if !capabilities.hasLoadProbe, thread.isInKVMRun == true { put(index, at, isImplied: true) }
    thread.isInKVMRun = false
  }

  /// What only a loaded vCPU's thread does. Without load probes, a load lies before it if the thread was put since, or
  /// never ran before.
  mutating func implyLoad(_ index: Int, _ thread: ThreadRecord, _ at: Moment, _ pid: Int32) {
    guard !capabilities.hasLoadProbe else {
      if thread.leftLoaded, showsEveryLoad {
        // It was switched out and back inside KVM_RUN: a load is missing.
        thread.leftLoaded = false
        if thread.run?.exit != nil { thread.run?.isOver = true }
        broken(vcpu: index)
      }
      return
    }
    if vcpus[index].state.loadedOn == nil,
      vcpus[index].isPut || thread.isInKVMRun == false
        || vcpus[index].counters.runs == 0 && thread.isBornHere
    {
      load(index, at, pid, isImplied: true)
    }
    thread.wasSwitchedOut = false
  }
}
