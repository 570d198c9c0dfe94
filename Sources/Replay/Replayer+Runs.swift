import Observation
import Ptrauth
import Trace

// Runs: kvm_entry .. kvm_exit, and what the samples around them say.
extension Replayer {
  mutating func entry(_ at: Moment, _ pid: Int32, _ thread: ThreadRecord, pc: UInt64) {
    let index = currentVCPU(at, pid, thread)
    if !capabilities.samplesShadow, let run = thread.run { followPC(index, at, pc, after: run) }
    closeRun(of: thread, at.tid)
    if let trap = vcpus[index].unansweredTrap {
      // No probe shows the handler; it has run by now.
      vcpus[index].unansweredTrap = nil
      beginSave(index, thread, at, slots: nil, context: nil)
      answered(index, trap)
    }
    let cpu = cpus[at.cpu]
    if let other = cpu?.inGuest {
      // Two kvm_entry on one pCPU: a kvm_exit is missing.
      closeRun(other)
      if let index = threads[other]?.vcpu { broken(vcpu: index) }
    }
    if let load = thread.pendingLoad {
      thread.pendingLoad = nil
      if vcpus[index].state.loadedOn == nil, load.cpu == at.cpu {
        self.load(index, load, pid, isImplied: false)
      }
    }
    implyLoad(index, thread, at, pid)
    if let loadedOn = vcpus[index].state.loadedOn, loadedOn != at.cpu {
      if showsLoads { broken(vcpu: index) } else { moved(vcpu: index) }
    }
    // Nothing enters a vCPU that was put, but one whose reset does not load it again.
    if vcpus[index].state.loadedOn == nil, vcpus[index].isPut, showsEveryLoad,
      vcpus[index].arrival.putInReset == nil
    {
      broken(vcpu: index)
    }
    if vcpus[index].state.loadedOn == nil { vcpus[index].state.loadedOn = at.cpu }
    var run = OpenRun(
      vcpu: index, cpu: at.cpu, enter: at, pc: pc, expected: vcpus[index].state.bits)
    run.startsEnabled = vcpus[index].isEnabledAtHyp
    run.entrySample = thread.sampleBeforeEntry
    run.load = vcpus[index].load
    run.windowStart = vcpus[index].lastExit
    run.followsSkippedPlace = thread.skippedAPlace
    thread.skippedAPlace = false
    run.followsAnsweredTrap =
      vcpus[index].interval.seen.traps > 0 && !vcpus[index].interval.isTainted
      && vcpus[index].interval.begin != nil && !vcpus[index].interval.isImplied
    if let handling = vcpus[index].handlings.last {
      run.isRetry = handling.wasSeen && handling.enabledItsOwn == .unknown && run.load == nil
    }
    judgeArrival(index, run)
    vcpus[index].load = nil
    // Whatever handler was under way is through.
    vcpus[index].state.enableInFlight = false
    thread.handler = nil
    if let handling = vcpus[index].handlings.end(at.time, bits: run.entrySample) {
      reconsider(handling, of: at.tid)
    }
    if run.load != nil { tellUnsaid(index) }
    if lacksProbes(thread, run) { follow(index, .unseenLoads, at) }
    follow(index, .entry, at, run.entrySample)
    run.steps.entry = vcpus[index].unsaid.trellis.end - 1
    thread.sampleBeforeEntry = nil
    thread.fetched = nil
    thread.run = run
    thread.hostKeys.save?.isThrough = true
    thread.isInKVMRun = true
    (cpu ?? cpus[at.cpu])?.inGuest = at.tid
    if let thread = vcpus[index].runThread, thread != at.tid {
      vcpus[index].ranInSeveralThreads = true
    }
    vcpus[index].runThread = at.tid
    vcpus[index].counters.runs += 1
    vcpus[index].interval.runs += 1
    if at.tid <= 0 { namelessEntries += 1 }
  }

  mutating func exit(
    _ at: Moment, _ pid: Int32, _ current: ThreadRecord?, ret: Int32, ec: UInt32, pc: UInt64
  ) {
    let cpu = cpus[at.cpu]
    let inGuest = cpu?.inGuest
    cpu?.inGuest = nil
    current?.awaitsHandler = .set
    guard let thread = current, let index = thread.run?.vcpu, inGuest == at.tid,
      thread.run?.exit == nil
    else {
      // Where the recording begins this is a run that was under way: its load was not seen either.
      closeRun(at.tid)
      current?.sampleBeforeEntry = nil
      if let index = current?.vcpu,
        vcpus[index].counters.runs > 0 || vcpus[index].counters.loads > 0
      {
        broken(vcpu: index)
      }
      _ = currentVCPU(at, pid, current ?? thread(at.tid, pid))
      return
    }
    if let cpu, cpu.firstWholeRun == nil {
      cpu.firstWholeRun = at.time
      if firstWholeRun == nil { firstWholeRun = at.time }
    }
    thread.run?.exit = at
    thread.run?.ret = ret
    thread.run?.ec = ret == 2 ? ec : nil
    thread.run?.exitPC = pc
    let switchesKeys = thread.run?.entrySample?.switchesKeys
    if switchesKeys != .clear { thread.hostKeys.isForeign = .set }
    if switchesKeys == .set {
      // Without their events a task switch, or a return to user mode, may come before the next save.
      let written: RegisterSet =
        !capabilities.hasSchedSwitch
        ? .all : capabilities.hasUserspaceExit ? [] : returnedRegisters
      thread.hostKeys.leftByExit = RegisterSet.all.subtracting(written)
    }
    if !capabilities.samplesShadow { followPasses(index, thread, at) }
    let exception = ret == 2 ? ExceptionClass(rawValue: ec) : nil
    switch exception {
    case .pointerAuth: follow(index, .instructionTrap, at)
    case .systemRegister: follow(index, .systemRegisterTrap, at)
    default: follow(index, .exit, at)
    }
    switch exception {
    case .pointerAuth:
      vcpus[index].state.enableInFlight = true
      trapped(thread, at, .instruction)
    case .systemRegister:
      vcpus[index].state.enableInFlight = true
      vcpus[index].handlings.begin(at.time, wasSeen: false)
    default: break
    }
  }

  /// Everything about the thread's run is known now: judge it, count it, say it.
  mutating func closeRun(_ tid: Int32) {
    if let thread = threads[tid] { closeRun(of: thread, tid) }
  }

  mutating func closeRun(of thread: ThreadRecord, _ tid: Int32) {
    guard thread.run != nil, let run = thread.run else { return }
    thread.run = nil
    let index = run.vcpu
    if let cpu = cpus[run.cpu], cpu.inGuest == tid { cpu.inGuest = nil }
    // Guest exit may have written the slots.
    if run.entrySample != .clear { vcpus[index].keysAtPut = nil }
    if run.hypTraps > 0 { followHypTrap(run) }
    let explained = vcpus[index].model.contradiction == nil ? 0 : explanations
    let (atEntry, atExit) = knownBits(of: run)
    judge(run, atEntry: atEntry, atExit: atExit)
    settleContradiction(run, explainedBefore: explained)
    moveModel(run, atEntry, atExit)
    if !run.isAccounted { account(run, atEntry, atExit) }
    if let exit = run.exit { vcpus[index].counters.guestTime &+= exit.time &- run.enter.time }
    if run.trap != nil, !run.isAnswered, generation?.trap == .reachesHost {
      vcpus[index].unansweredTrap = run.exit
    }
    if run.exit != nil, run.trap == nil { vcpus[index].lastExit = run.exit }
    // (Its own trap is told by what comes behind it.)
    if let open = vcpus[index].openTrap, open.at != run.exit {
      settleTrap(index, by: run)
    }
    let line = Run(
      vcpu: vcpus[index].identity, tid: tid, pid: vcpus[index].pid, cpu: run.cpu,
      enter: run.enter.time, exit: run.exit?.time, ret: run.ret, ec: run.ec, atEntry: atEntry,
      atExit: atExit)
    if capabilities.samplesShadow && (atEntry.bits.isKnown || run.entrySample != nil) {
      say(line, index)
    } else {
      keepUnsaid(line, run.steps, index)
    }
  }

  /// What is known of the bits at both ends, from samples and traps of this run alone.
  private func knownBits(of run: OpenRun) -> (KnownBits, KnownBits) {
    var atEntry = run.entrySample.map { KnownBits($0, .observed) } ?? .unknown
    var atExit = run.exitSample.map { KnownBits($0, .observed) } ?? .unknown
    if vcpus[run.vcpu].isNested { return (.unknown, .unknown) }
    // The bits change within a run only where traps are handled at EL2, and only from 0 to 1.
    switch generation?.trap {
    case .reachesHost, .never:
      if !atEntry.bits.isKnown, atExit.bits.isKnown { atEntry = KnownBits(atExit.bits, .implied) }
      if !atExit.bits.isKnown, atEntry.bits.isKnown { atExit = KnownBits(atEntry.bits, .implied) }
    case .handledAtHyp:
      if !atEntry.bits.isKnown, atExit.bits == .clear { atEntry = KnownBits(.clear, .implied) }
      if !atExit.bits.isKnown, atEntry.bits == .set { atExit = KnownBits(.set, .implied) }
    case nil: break
    }
    applyFunctions(run, &atEntry, &atExit)
    if configuration.shadowIsNotLive {
      atEntry = KnownBits(atEntry.bits.withoutSet, atEntry.basis)
      atExit = KnownBits(atExit.bits.withoutSet, atExit.basis)
    }
    // A trap is the CPU's own word: the bit it needs was 0.
    switch run.trap {
    case .instruction where atExit.bits.api != .clear:
      atExit = KnownBits(EnableBits(api: .clear, apk: .unknown), .observed)
      if generation?.trap != .handledAtHyp { atEntry = atExit }
    case .register where atExit.bits.apk != .clear:
      atExit = KnownBits(EnableBits(api: .unknown, apk: .clear), .observed)
      if generation?.trap != .handledAtHyp { atEntry = atExit }
    default: break
    }
    return (atEntry, atExit)
  }

  /// Lets the model follow what was seen, for what the next events are compared with.
  private mutating func moveModel(_ run: OpenRun, _ atEntry: KnownBits, _ atExit: KnownBits) {
    guard let code, run.exit != nil else { return }
    // (Bound, it would be copied, arrays and all.)
    let isHandledAtHyp = generation?.trap == .handledAtHyp
    let index = run.vcpu
    if let sample = run.exitSample ?? run.entrySample, !run.isOver, run.trap == nil {
      vcpus[index].state.bits = sample
    } else if isHandledAtHyp, run.exitSample == nil, !run.isOver {
      vcpus[index].state.bits = atExit.bits == .set ? .set : .unknown
    }
    var switched = vcpus[index].state
    switched.bits = run.entrySample ?? run.exitSample ?? .unknown
    if isHandledAtHyp, let exit = run.exitSample { switched.bits = exit }
    if let cpu = cpus[run.cpu], !run.isOver {
      let process = vcpus[index].pid
      var state = cpu.state
      code.guestEnter(switched, vcpu: index, &state, process: process)
      if generation?.hostSave == .hypTrap, atEntry.bits == .clear, atExit.bits == .set {
        state.hostSlots = .valid(process: process)
        cpu.hostSaves += 1
      }
      code.guestExit(switched, &state, process: process)
      cpu.state = state
    }
  }

  /// Counts what the run's passes cost its load interval.
  mutating func account(_ run: OpenRun) {
    let (atEntry, atExit) = knownBits(of: run)
    account(run, atEntry, atExit)
  }

  private mutating func account(_ run: OpenRun, _ atEntry: KnownBits, _ atExit: KnownBits) {
    guard generation != nil, run.exit != nil else { return }
    let index = run.vcpu
    observe(run, atEntry, atExit)
    if atEntry.bits.switchesKeys == .set {
      vcpus[index].counters.enabledRuns += 1
      vcpus[index].interval.saveUnused = nil
    }
    // Where a trap at EL2 set the bits within the run, the pass that followed may have ended before it
    // began: only a further trap proves that it did not.
    let isCertain = atEntry.bits.switchesKeys == .set ? run.certainlyEntered : run.ret == 2
    if atExit.bits.switchesKeys == .set, isCertain, run.trap == nil {
      vcpus[index].counters.keySwitches += 1
      vcpus[index].interval.switchedPasses += 1
      if vcpus[index].interval.firstSwitched == nil {
        vcpus[index].interval.firstSwitched = run.enter
      }
      vcpus[index].interval.lastSwitched = run.enter
    }
    if generation?.hostSave == .hypTrap, atEntry.bits == .clear, atExit.bits.switchesKeys == .set {
      vcpus[index].counters.hiddenTraps += 1
      vcpus[index].counters.hostSaves += 1
      vcpus[index].interval.trapped = true
      if let exit = run.exit {
        if let cpu = cpus[run.cpu], atExit.bits == .set { noteHostSave(index, exit, on: cpu) }
        judgeReentry(run, exit)
      }
    }
  }

  mutating func say(_ run: Run, _ index: Int) {
    var run = run
    if isThinned {
      run.atEntry = .unknown
      run.atExit = .unknown
    }
    if run.atEntry.bits.isKnown, run.atExit.bits.isKnown { vcpus[index].counters.knownRuns += 1 }
    emit?(.run(run))
  }
}
