import Ptrauth

// The cost rules: traps, saves and loads that bought nothing.
extension Replayer {
  /// A trap was answered, and the next run of the vCPU took it again: a load came between.
  mutating func judgeRepeatedTrap(_ run: OpenRun) {
    let index = run.vcpu
    guard generation?.trap == .reachesHost, vcpus[index].state.feature == .both,
      let exit = run.exit
    else { return }
    judgeAnswer(run)
    guard run.trap != nil else {
      if run.certainlyEntered {
        vcpus[index].waste.answered = nil
        vcpus[index].waste.loadSince = nil
      }
      return
    }
    if let first = vcpus[index].waste.answered, let load = vcpus[index].waste.loadSince {
      log.add(.wastedTrap, .proved, vcpu: vcpus[index].identity, at: exit, cost: trapCost) {
        (
          "a ptrauth trap was answered, a load took the answer back before the guest ran, and the "
            + "guest trapped again",
          [
            Evidence(first, "kvm_exit", "a ptrauth trap"),
            Evidence(load, "kvm_arch_vcpu_load"),
            Evidence(exit, "kvm_exit", words(ret: run.ret, ec: run.ec) + ": again"),
          ]
        )
      }
    }
    vcpus[index].waste.answered = run.isRefused ? nil : exit
    vcpus[index].waste.handled =
      run.isAnswered && !run.isOver && !run.isRefused
      ? HandledTrap(exit: exit, pc: run.exitPC) : nil
    // What it trapped on may have been said only after the next load.
    vcpus[index].waste.loadSince = run.isOver ? vcpus[index].interval.begin : nil
  }

  /// The first entry after a trap whose handler was seen, or after a run with bits set, no load in between.
  private mutating func judgeAnswer(_ run: OpenRun) {
    let index = run.vcpu
    guard let sample = run.entrySample, sample.isKnown, !vcpus[index].isNested,
      !run.followsSkippedPlace
    else { return }
    let identity = vcpus[index].identity
    if let handled = vcpus[index].waste.handled {
      vcpus[index].waste.handled = nil
      if sample.switchesKeys == .set {
        exercise(.featureDenied, index)
      } else {
        judgeSteppedOver(run, handled, sample)
        // Whether its handler saved anything does not show.
        log.add(.wastedTrap, .proved, vcpu: identity, at: run.enter, cost: Cost(trips: 1)) {
          (
            "a ptrauth trap was handled, and the next entry was as disabled as before, with no load in between",
            [
              Evidence(handled.exit, "kvm_exit", "a ptrauth trap"),
              Evidence(run.enter, "kvm_entry", "shadow \(words(sample))"),
            ]
          )
        }
      }
    }
    if let enabled = vcpus[index].waste.enabled, sample == .clear {
      log.add(.earlyClear, .proved, vcpu: identity, at: run.enter, cost: trapCost) {
        (
          "both bits were set at an exit and clear at the next entry, with no load in between",
          [
            Evidence(enabled, "kvm_exit", "shadow \(words(.set))"),
            Evidence(run.enter, "kvm_entry", "shadow \(words(sample))"),
          ]
        )
      }
    }
    vcpus[index].waste.enabled =
      run.exitSample == .set && !run.isOver && probesHit.contains(.vcpuLoad) ? run.exit : nil
  }

  /// With both bits clear the guest cannot pass the instruction: an exit right behind it says that KVM stepped over it.
  private mutating func judgeSteppedOver(
    _ run: OpenRun, _ handled: HandledTrap, _ sample: EnableBits
  ) {
    guard let exit = run.exit, run.certainlyEntered, run.entryPC == handled.pc,
      run.exitPC > handled.pc, run.exitPC - handled.pc <= Self.straight
    else { return }
    let identity = vcpus[run.vcpu].identity
    log.add(.featureDenied, .suspected, vcpu: identity, at: handled.exit) {
      (
        "an instruction trapped, the next entry was as disabled as before, and the guest came to be behind it: KVM "
          + "stepped over it, or an interrupt led to another task of the guest there",
        [
          Evidence(handled.exit, "kvm_exit", "a ptrauth trap"),
          Evidence(run.enter, "kvm_entry", "at the same instruction, shadow \(words(sample))"),
          Evidence(exit, "kvm_exit", "\(run.exitPC - handled.pc) bytes behind it"),
        ]
      )
    }
    emit?(.finding(.featureDenied, .suspected, identity, handled.exit))
  }

  var trapCost: Cost {
    Cost(reads: generation?.hostSave == .preemptibleTrap ? 10 : 0, trips: 1)
  }

  /// kvm_inject_undefined while the vCPU's ptrauth trap is handled.
  mutating func judgeRefusal(_ index: Int, _ at: Moment) {
    guard let open = vcpus[index].openTrap, threads[at.tid]?.vcpu == index else { return }
    if threads[at.tid]?.run?.exit == open.at { threads[at.tid]?.run?.isRefused = true }
    settleTrap(index, .undefined)
    guard !configuration.generationIsWeak, let generation, generation.featureTest == .bothBits,
      vcpus[index].state.feature == .both, !vcpus[index].isNested
    else { return }
    let identity = vcpus[index].identity
    log.add(.featureDenied, .proved, vcpu: identity, at: open.at) {
      (
        "\(words(open.trap)) of a vCPU that has both ptrauth features was answered with an UNDEF",
        [
          Evidence(open.at, "kvm_exit", words(open.trap)),
          Evidence(at, "kvm_inject_undefined"),
        ]
      )
    }
    emit?(.finding(.featureDenied, .proved, identity, open.at))
  }

  /// A trap where every load sets both bits: the host answers it with an UNDEF. A load did not set them, if the
  /// entry was sampled clear; if it was not, HCR_EL2 may also be other than the shadow.
  mutating func judgeUnsetLoad(
    _ run: OpenRun, _ trap: PtrauthTrap, _ exit: Moment, _ sample: EnableBits?
  ) {
    guard let generation, !configuration.generationIsWeak, vcpus[run.vcpu].state.feature == .both
    else { return }
    let identity = vcpus[run.vcpu].identity
    log.add(.featureDenied, .proved, vcpu: identity, at: exit) {
      (
        "a vCPU that has both ptrauth features "
          + (sample.map { "was entered with \(words($0)) and " } ?? "")
          + "took \(words(trap)), which is answered with an UNDEF; \(generation.name) sets both bits at every load"
          + (sample == nil ? " (or HCR_EL2 is not what the shadow says)" : ""),
        [
          sample.map { Evidence(run.enter, "kvm_entry", "shadow \(words($0))") },
          Evidence(exit, "kvm_exit", words(ret: run.ret, ec: run.ec) + ": " + words(trap)),
        ].compactMap(\.self)
      )
    }
    emit?(.finding(.featureDenied, .proved, identity, exit))
  }

  /// A vCPU without ptrauth tries again and again.
  mutating func judgeUndefs(_ run: OpenRun) {
    let index = run.vcpu
    guard run.trap != nil, let exit = run.exit else { return }
    let feature = vcpus[index].state.feature
    guard feature == .none || feature == .partial else { return }
    guard let (traps, begin) = vcpus[index].waste.storm.add(exit) else { return }
    log.add(
      .undefStorm, .proved, vcpu: vcpus[index].identity, at: exit, cost: Cost(trips: traps),
      count: traps
    ) {
      (
        "a vCPU without ptrauth took \(traps) ptrauth traps within a second",
        [
          Evidence(begin, "kvm_exit", "the first"),
          Evidence(exit, "kvm_exit", "number \(traps)"),
        ]
      )
    }
  }

  /// A trap that EL2 answered within a run: the guest was entered once more than kvm_entry says.
  mutating func judgeReentry(_ run: OpenRun, _ exit: Moment) {
    log.add(.fastReentry, .proved, vcpu: vcpus[run.vcpu].identity, at: exit) {
      (
        "a ptrauth trap was answered within the run: the guest was entered again without a return to "
          + "the host",
        [
          Evidence(run.enter, "kvm_entry", "shadow \(words(.clear))"),
          Evidence(exit, "kvm_exit", "shadow \(words(.set)) by then"),
        ]
      )
    }
  }

  /// The host's keys were saved on a pCPU: the same ones again?
  mutating func noteHostSave(_ index: Int, _ at: Moment, on cpu: CPURecord) {
    let saver = HostSaver(
      tid: vcpus[index].tid, pid: vcpus[index].pid, at: at, era: walls.saverEra)
    let sharesKeys = configuration.kernelUsesPointerAuth == false && saver.pid >= 0
    // Where the slots are sampled before and after it, they tell.
    let isSampled = threads[at.tid]?.hostKeys.save?.at == at
    if !isSampled, let last = cpu.lastSaver, last.era == walls.saverEra,
      last.tid == saver.tid || (sharesKeys && last.pid == saver.pid)
    {
      vcpus[index].interval.repeatedSaves += 1
      vcpus[index].interval.repeatedSave = (last.at, at)
    }
    cpu.lastSaver = saver
  }

  /// The slots held the same keys before a host save and after it.
  mutating func noteRepeatedSave(_ index: Int, _ at: Moment) {
    vcpus[index].interval.repeatedSaves += 1
    vcpus[index].interval.repeatedSave = (nil, at)
  }

  /// What a load interval cost for nothing, when it ends.
  mutating func judgeWaste(of interval: LoadInterval, _ index: Int, _ at: Moment) {
    guard let begin = interval.begin else { return }
    let identity = vcpus[index].identity
    let hasFeature = vcpus[index].state.feature == .both
    if hasFeature, interval.runs == 0, generation?.hostSave == .everyLoad {
      // Its save is counted as a redundant one.
      log.add(.shortLoad, .proved, vcpu: identity, at: begin) {
        (
          "a load saved the host's keys, and the put came without a run",
          [
            Evidence(begin, "kvm_arch_vcpu_load"),
            Evidence(at, "kvm_arch_vcpu_put", "no kvm_entry"),
          ]
        )
      }
    }
    if hasFeature, interval.runs > 0, !interval.trapped, !interval.mayHaveTrapped,
      generation?.hostSave == .everyLoad, generation?.trap == .reachesHost
    {
      log.add(.eagerUnused, .proved, vcpu: identity, at: begin) {
        (
          "a load saved the host's keys, and the guest did not use pointer authentication",
          [
            Evidence(begin, "kvm_arch_vcpu_load"),
            Evidence(at, "kvm_arch_vcpu_put", "\(interval.runs) runs without a ptrauth trap"),
          ]
        )
      }
    }
    // One that was never used is told as such.
    if let save = interval.repeatedSave,
      interval.repeatedSaves > (interval.saveUnused == save.at ? 1 : 0)
    {
      let repeated = interval.repeatedSaves - (interval.saveUnused == save.at ? 1 : 0)
      log.add(
        .redundantHostSave, .suspected, vcpu: identity, at: save.at, cost: .hostSave * repeated,
        count: repeated
      ) {
        guard let before = save.before else {
          return (
            "the host slots held the same keys before a host save and after it",
            [Evidence(save.at, "host save", "of the same keys")]
          )
        }
        return (
          "host keys were saved where the same process's were saved before and nobody else's since; "
            + "unless it changed its keys meanwhile, the slots held them already",
          [
            Evidence(before, "host save", "the one before"),
            Evidence(save.at, "host save", "the same again"),
          ]
        )
      }
    }
    guard interval.runs > 0 else { return }
    if vcpus[index].waste.thrash.wouldEnd() { endThrash(index) }
    vcpus[index].waste.thrash.add(trapped: interval.trapped && !interval.isRefused, begin)
  }

  /// A phase of the lazy scheme in which nearly every load interval trapped is over.
  mutating func endThrash(_ index: Int) {
    let pendingEnds = vcpus[index].waste.thrash.wouldEnd()
    if !pendingEnds { vcpus[index].waste.thrash.settle() }
    let phase = vcpus[index].waste.thrash
    defer { vcpus[index].waste.thrash = ThrashPhase() }
    let sum = phase.sum
    guard vcpus[index].state.feature == .both, sum.intervals >= ThrashPhase.least,
      let begin = phase.begin, let end = phase.end
    else { return }
    log.add(
      .lazyThrash, .proved, vcpu: vcpus[index].identity, at: end,
      cost: Cost(
        reads: 10 * sum.trapped, trips: generation?.trap == .reachesHost ? sum.trapped : 0)
    ) {
      (
        "\(sum.trapped) of \(sum.intervals) load intervals in a row, with a run, took a ptrauth trap",
        [
          Evidence(begin, "kvm_arch_vcpu_load", "the first of them"),
          Evidence(end, "kvm_arch_vcpu_load", "the last of them"),
        ]
      )
    }
  }
}
