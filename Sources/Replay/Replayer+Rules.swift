import Ptrauth
import Trace

// The rules that one complete run, and what came before it, can break.
extension Replayer {
  mutating func judge(_ run: OpenRun, atEntry: KnownBits, atExit: KnownBits) {
    followGuestWrite(run, atEntry: atEntry.bits)
    guard run.exit != nil, !vcpus[run.vcpu].isNested else { return }
    judgeTrap(run)
    guard let sample = run.entrySample ?? inheritedSample(run) else { return }
    judgeBits(run, sample)
    judgeFeature(run, sample)
    judgeLoad(run, sample)
  }

  /// Where the bits cannot change within a run, a sample after it is as good.
  private func inheritedSample(_ run: OpenRun) -> EnableBits? {
    generation?.trap == .reachesHost || generation?.trap == .never ? run.exitSample : nil
  }

  /// A trap needs the bit to be 0; the shadow that the CPU's HCR_EL2 is written from said 1.
  private mutating func judgeTrap(_ run: OpenRun) {
    guard let trap = run.trap, let sample = run.entrySample, let exit = run.exit else { return }
    let bit =
      switch trap {
      case .instruction: sample.api
      case .register: sample.apk
      }
    guard bit == .set else { return }
    let identity = vcpus[run.vcpu].identity
    log.add(.trapWhileEnabled, .proved, vcpu: identity, at: exit) {
      (
        "the guest entered with \(words(sample)) in the shadow and took \(words(trap))",
        [
          Evidence(run.enter, "kvm_entry", "shadow \(words(sample))"),
          Evidence(exit, "kvm_exit", words(ret: run.ret, ec: run.ec) + ": " + words(trap)),
        ]
      )
    }
    emit?(.finding(.trapWhileEnabled, .proved, identity, exit))
  }

  private mutating func judgeBits(_ run: OpenRun, _ sample: EnableBits) {
    guard sample.isKnown, sample.api != sample.apk else { return }
    let identity = vcpus[run.vcpu].identity
    log.add(.bitsDiffer, .proved, vcpu: identity, at: run.enter) {
      (
        "the guest entered with \(words(sample))",
        [Evidence(run.enter, "kvm_entry", "shadow \(words(sample))")]
      )
    }
    emit?(.finding(.bitsDiffer, .proved, identity, run.enter))
  }

  private mutating func judgeFeature(_ run: OpenRun, _ sample: EnableBits) {
    let feature = vcpus[run.vcpu].state.feature
    guard sample.switchesKeys == .set, feature == .none || feature == .partial else { return }
    let identity = vcpus[run.vcpu].identity
    log.add(.switchWithoutFeature, .proved, vcpu: identity, at: run.enter) {
      (
        "the guest entered with \(words(sample)); its features hold "
          + (feature == .none ? "neither ptrauth bit" : "only one of the two ptrauth bits"),
        [Evidence(run.enter, "kvm_entry", "shadow \(words(sample))")]
      )
    }
    emit?(.finding(.switchWithoutFeature, .proved, identity, run.enter))
  }

  /// After a load that clears, the model expects 0; no trap was in flight that could have set it.
  private mutating func judgeLoad(_ run: OpenRun, _ sample: EnableBits) {
    guard let generation, generation.load == .clears, !configuration.generationIsWeak,
      vcpus[run.vcpu].state.feature == .both,
      run.expected == .clear, let load = run.clearedBy, sample.switchesKeys == .set,
      let exit = run.exit, !run.followsSkippedPlace
    else { return }
    let moved = run.windowStart.map { $0.cpu != load.cpu } ?? false
    let evidence =
      [run.windowStart.map { Evidence($0, "kvm_exit", "the vCPU's last run; no ptrauth trap") }]
      .compactMap(\.self) + [
        Evidence(load, "kvm_arch_vcpu_load", moved ? "on another pCPU than before" : ""),
        Evidence(run.enter, "kvm_entry", "shadow \(words(sample)), no trap since the load"),
      ]
    var pending = ProvisionalFindings.Pending(
      rule: .staleEnable, vcpu: run.vcpu, from: run.windowStart?.cpu ?? load.cpu,
      begin: (run.windowStart ?? load).time, end: exit.time,
      at: run.enter,
      statement: "the shadow still had \(words(sample)) after a load, with no trap since",
      evidence: evidence)
    // Its consequence, where it is known whose keys the host slots of this pCPU hold.
    if case .stale(let saver)? = cpus[run.cpu]?.state.hostSlots, saver >= 0,
      vcpus[run.vcpu].pid >= 0, saver != vcpus[run.vcpu].pid
    {
      pending.consequences.append(
        ProvisionalFindings.Pending(
          rule: .missedHostSave, vcpu: run.vcpu, from: pending.from, begin: pending.begin,
          end: pending.end,
          at: run.enter,
          statement: "process \(vcpus[run.vcpu].pid) ran its guest with ptrauth enabled; the "
            + "host slots of pCPU \(run.cpu) were last saved by process \(saver)",
          evidence: evidence))
    }
    provisional.add(pending)
  }

  mutating func commit(_ finding: ProvisionalFindings.Pending) {
    let identity = vcpus[finding.vcpu].identity
    log.add(finding.rule, .proved, vcpu: identity, at: finding.at) {
      (finding.statement, finding.evidence)
    }
    emit?(.finding(finding.rule, .proved, identity, finding.at))
    for consequence in finding.consequences { commit(consequence) }
  }

  /// The lazy scheme pays a trap in nearly every load interval. Judged over the recording, for
  /// vCPUs with at least 8 load intervals that ran.
  mutating func judgeThrash() {
    for vcpu in vcpus where vcpu.state.feature == .both {
      let intervals = vcpu.intervals
      let trapped = vcpu.trappedIntervals
      guard intervals >= 8, trapped * 10 >= intervals * 9 else { continue }
      let at = Moment(time: lastTime, cpu: vcpu.state.loadedOn ?? -1, tid: vcpu.tid)
      log.add(
        .lazyThrash, .proved, vcpu: vcpu.identity, at: at,
        cost: Cost(
          reads: 10 * trapped, writes: 0, trips: generation?.trap == .reachesHost ? trapped : 0)
      ) {
        ("\(trapped) of \(intervals) load intervals with a run took a ptrauth trap", [])
      }
    }
  }
}
