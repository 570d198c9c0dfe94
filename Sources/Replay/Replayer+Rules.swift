import Ptrauth
import Trace

// The rules that one complete run, and what came before it, can break.
extension Replayer {
  mutating func judge(_ run: OpenRun, atEntry: KnownBits, atExit: KnownBits) {
    followGuestWrites(run)
    if !run.isJudged { judgeAlone(run) }
    noteExercise(run)
  }

  /// What the run itself shows.
  mutating func judgeAlone(_ run: OpenRun) {
    judgeNested(run)
    guard run.exit != nil else { return }
    if vcpus[run.vcpu].isNested {
      // The bits are L1's, not the patch's; but a trap needs them clear, and without the feature nobody's may be set.
      if let sample = run.entrySample {
        judgeTrap(run)
        judgeFeature(run, sample)
      }
      return
    }
    judgeTrap(run)
    judgeGuards(run)
    judgeRepeatedTrap(run)
    judgeUndefs(run)
    judgeMigratedKeys(run)
    guard let sample = run.entrySample ?? inheritedSample(run) else { return }
    judgeBits(run, sample)
    judgeFeature(run, sample)
    if let stale = staleEnable(run, sample) {
      pendingFindings.add(stale)
    } else {
      judgeRestored(run, sample)
    }
  }

  /// A run that the recording ends in: what it was entered with was seen.
  mutating func judgeUnended(_ tid: Int32) {
    guard capabilities.hasEntryAndExit, let run = threads[tid]?.run, run.exit == nil,
      let sample = run.entrySample
    else { return }
    judgeFeature(run, sample)
    if vcpus[run.vcpu].isNested { return }
    judgeBits(run, sample)
    if let stale = staleEnable(run, sample) { pendingFindings.add(stale) }
  }

  /// Where the bits cannot change within a run, a sample after it is as good.
  private func inheritedSample(_ run: OpenRun) -> EnableBits? {
    generation?.trap == .reachesHost || generation?.trap == .never ? run.exitSample : nil
  }

  /// A trap needs the bit to be 0; the shadow that the CPU's HCR_EL2 is written from said 1.
  private mutating func judgeTrap(_ run: OpenRun) {
    guard let trap = run.trap, let exit = run.exit else { return }
    guard let sample = run.entrySample else { return judgeUnsampledTrap(run, trap, exit) }
    let isNested = vcpus[run.vcpu].isNested
    let mayBeNested = isNested || mayRunOthers(run.vcpu)
    let bit: Bit
    switch trap {
    case .instruction: bit = sample.api
    // HFGRTR_EL2 of a guest hypervisor traps its guest's accesses too (ARM DDI 0487, FEAT_FGT).
    case .register where mayBeNested: return
    case .register: bit = sample.apk
    }
    guard bit == .set else {
      if generation?.trap == .never, !isNested { judgeUnsetLoad(run, trap, exit, sample) }
      return
    }
    let identity = vcpus[run.vcpu].identity
    // A recorder that was paused meanwhile may have left out a load.
    let mayBePaused = silences.isIn(run.enter, exit)
    if mayBePaused, undecided.isExplained(bySilence: .trapWhileEnabled) { return }
    let level: Finding.Level = mayBePaused ? .suspected : .proved
    log.add(.trapWhileEnabled, level, vcpu: identity, at: exit) {
      (
        "the guest entered with \(words(sample)) in the shadow and took \(words(trap))",
        [
          Evidence(run.enter, "kvm_entry", "shadow \(words(sample))"),
          Evidence(exit, "kvm_exit", words(ret: run.ret, ec: run.ec) + ": " + words(trap)),
        ]
      )
    }
    emit?(.finding(.trapWhileEnabled, level, identity, exit))
  }

  /// Unless its features say otherwise, a vCPU may run nested guests.
  private func mayRunOthers(_ index: Int) -> Bool {
    generation?.nestedBits == .fromGuest && vcpus[index].state.feature == .unknown
  }

  private mutating func judgeBits(_ run: OpenRun, _ sample: EnableBits) {
    if mayRunOthers(run.vcpu) { return }
    guard sample.isKnown, sample.api != sample.apk else { return }
    logEntered(.bitsDiffer, run) {
      (
        "the guest entered with \(words(sample))",
        [Evidence(run.enter, "kvm_entry", "shadow \(words(sample))")]
      )
    }
  }

  private mutating func judgeFeature(_ run: OpenRun, _ sample: EnableBits) {
    let feature = vcpus[run.vcpu].state.feature
    guard sample.switchesKeys == .set, feature == .none || feature == .partial else { return }
    logEntered(.switchWithoutFeature, run) {
      (
        "the guest entered with \(words(sample)); its features hold "
          + (feature == .none ? "neither ptrauth bit" : "only one of the two ptrauth bits"),
        [Evidence(run.enter, "kvm_entry", "shadow \(words(sample))")]
      )
    }
  }

  /// What a guest ran with. A run that may have been over before it entered the guest counts only where no other shows
  /// the rule.
  mutating func logEntered(
    _ rule: Rule, _ run: OpenRun, cause: Rule? = nil, proof: () -> (String, [Evidence])
  ) {
    let identity = vcpus[run.vcpu].identity
    if run.certainlyEntered {
      log.add(rule, .proved, vcpu: identity, at: run.enter, cause: cause, proof: proof)
      emit?(.finding(rule, .proved, identity, run.enter))
    } else {
      unentered.add(rule, .suspected, vcpu: identity, at: run.enter, cause: cause) {
        let (statement, evidence) = proof()
        return (
          statement + "; or an interrupt ended the run before it entered the guest", evidence
        )
      }
    }
  }

  /// Guest exit restored keys that are not its thread's, though a trap was answered since the load: the handler
  /// did not save them here. (If what was live then may have been another's, that is the finding.)
  private mutating func judgeRestored(_ run: OpenRun, _ sample: EnableBits) {
    guard sample.switchesKeys == .set, let exit = run.exit, run.certainlyEntered,
      let restored = run.restored
    else { return }
    let foreign: ForeignSlots
    switch restored {
    case .own: return
    case .moved(let own, let registers): return reportMoved(run, own, registers)
    case .others(let own): foreign = .differ(from: own)
    case .anothers(let own): foreign = .anothers(since: own)
    case .otherProcess(let process, let since): foreign = .keysOf(process, since: since)
    }
    guard threads[run.enter.tid]?.hostKeys.savedForeign == false else { return }
    if run.followsSkippedPlace {
      undecided.note(.missedHostSave, .skippedPlace)
      return
    }
    pendingFindings.add(
      PendingFinding(
        vcpu: run.vcpu, enter: run.enter, exit: exit.time, bits: sample, foreign: foreign,
        ownMayBeGuests: threads[run.enter.tid]?.hostKeys.learned?.isOfRestored ?? false))
  }

  /// The thread's own keys came back in other registers.
  private mutating func reportMoved(_ run: OpenRun, _ own: Moment, _ registers: RegisterSet) {
    guard let exit = run.exit else { return }
    let identity = vcpus[run.vcpu].identity
    log.add(.missedHostRestore, .suspected, vcpu: identity, at: run.enter) {
      (
        "the host slots hold keys that the thread had in other registers (\(words(registers.registers))): guest "
          + "exit restored them there, or a save stored them there (partial-key-set)",
        [
          Evidence(own, "kvm_arm_vcpu_ptrauth_trap", "a host save of the thread"),
          Evidence(run.enter, "kvm_entry", "shadow \(words(run.entrySample ?? .unknown))"),
          Evidence(exit, "kvm_exit", words(ret: run.ret, ec: run.ec)),
        ]
      )
    }
    emit?(.finding(.missedHostRestore, .suspected, identity, run.enter))
  }

  /// Reports a stale enable whose window was seen whole, and what follows from it.
  mutating func commit(_ found: PendingFinding) {
    let identity = vcpus[found.vcpu].identity
    let process = vcpus[found.vcpu].pid
    func evidence() -> [Evidence] {
      guard let load = found.load else {
        return [Evidence(found.enter, "kvm_entry", "shadow \(words(found.bits))")]
      }
      let moved = found.lastExit.map { $0.cpu != load.cpu } ?? false
      return [
        found.lastExit.map { Evidence($0, "kvm_exit", "the vCPU's last run; no ptrauth trap") },
        Evidence(load, "kvm_arch_vcpu_load", moved ? "on another pCPU than before" : ""),
        Evidence(found.enter, "kvm_entry", "shadow \(words(found.bits)), no trap since the load"),
      ].compactMap(\.self)
    }
    if found.load != nil {
      log.add(.staleEnable, found.level, vcpu: identity, at: found.enter, count: found.count) {
        let statement =
          switch found.doubt {
          case nil: "the shadow still had \(words(found.bits)) after a load, with no trap since"
          case .foundClear:
            "the shadow had \(words(found.bits)) after a load that had found it clear, with no trap since: another "
              + "writer of the shadow set it"
          case .handler(let thread, _):
            "the shadow had \(words(found.bits)) after a load, with no trap since; the load left them, or the handler "
              + "of a trap in thread \(thread) set them, which may have been under way"
          case .crowd:
            "the shadow had \(words(found.bits)) after a load, with no trap since; the load left them, or the handler "
              + "of another vCPU's trap set them (there are too many vCPUs to look at each)"
          }
        return (statement, evidence())
      }
    }
    if !found.isAnnounced { say(found) }
    guard let foreign = found.foreign else { return }
    if found.restoreMayBeAtFault { undecided.note(.missedHostRestore, .otherKeysLeft) }
    log.add(
      .missedHostSave, found.saveLevel, vcpu: identity, at: found.enter, count: found.count,
      cause: found.load == nil ? cause(vcpu: found.vcpu) : .staleEnable
    ) {
      let unless =
        found.ownMayBeGuests
        ? "; or a guest exit before had not restored its keys, and what it saved were the guest's (missed-host-restore)"
        : ""
      return switch foreign {
      case .process(let saver):
        (
          "process \(process) ran its guest with ptrauth enabled; the host slots of pCPU "
            + "\(found.enter.cpu) were last saved by process \(saver), as far as traps' handlers save them",
          evidence()
        )
      case .differ(let own):
        (
          "thread \(found.enter.tid) ran its guest with ptrauth enabled; the host slots of pCPU "
            + "\(found.enter.cpu) held other keys than those it had saved as its own" + unless,
          [Evidence(own, "kvm_arm_vcpu_ptrauth_trap", "the thread's last host save")] + evidence()
        )
      case .anothers(let own):
        (
          "thread \(found.enter.tid) ran its guest with ptrauth enabled; the host slots of pCPU "
            + "\(found.enter.cpu) held keys that another thread had saved as its own" + unless,
          [Evidence(own, "kvm_arm_vcpu_ptrauth_trap", "a host save of the thread: it had others")]
            + evidence()
        )
      case .keysOf(let other, let sibling):
        (
          "thread \(found.enter.tid) ran its guest with ptrauth enabled; the host slots of pCPU "
            + "\(found.enter.cpu) held keys that a thread of process \(other) had saved as its own, and another thread "
            + "of process \(process) others; or the thread had changed its keys",
          [
            Evidence(
              sibling, "kvm_arm_vcpu_ptrauth_trap", "a host save of another thread of the process")
          ] + evidence()
        )
      }
    }
  }

  /// What brings a vCPU to an enabled entry without a host save, if it is not a stale enable.
  func cause(vcpu index: Int) -> Rule? {
    switch vcpus[index].state.feature {
    case .none, .partial: .switchWithoutFeature
    case .both, .unknown: nil
    }
  }

  /// Says a stale enable, and what follows from it, in the timeline.
  func say(_ found: PendingFinding) {
    let identity = vcpus[found.vcpu].identity
    if found.load != nil { emit?(.finding(.staleEnable, found.level, identity, found.enter)) }
    if found.foreign != nil {
      emit?(.finding(.missedHostSave, found.saveLevel, identity, found.enter))
    }
  }
}
