import Ptrauth

// The two guards of one pass, and traps that no sample explains.
extension Replayer {
  /// Where the guard reads the shadow, entry and exit must find the same: nothing but the run came
  /// between kvm_vgic_flush_hwstate and kvm_vgic_sync_hwstate.
  mutating func judgeGuards(_ run: OpenRun) {
    guard generation?.guardReads == .shadow,
      let entry = run.entrySample, let after = run.exitSample, let exit = run.exit
    else { return }
    // From here on the thread may run on the guest's keys, and save them as its own.
    if entry.switchesKeys == .set, after.switchesKeys == .clear {
      threads[run.enter.tid]?.hostKeys.wall()
    }
    guard run.exitIsAtSync, !configuration.generationIsWeak else { return }
    // Whether the guest was entered or not, somebody wrote the shadow in between.
    // A recorder that was paused meanwhile may have left out this run's end and another's beginning.
    let mayBePaused = silences.isIn(run.enter, exit)
    let rule: Rule
    let statement: String
    switch (entry.switchesKeys, after.switchesKeys) {
    case (.set, .clear):
      rule = .missedHostRestore
      statement =
        "the guest's keys were loaded at guest entry, and the guard of guest exit found "
        + "\(words(after)): the host's were not restored"
    case (.clear, .set) where generation?.trap == .reachesHost:
      rule = .hostKeyLeak
      statement =
        "guest entry loaded no guest keys, and the guard of guest exit found \(words(after)): the "
        + "host's were saved as the guest's"
    default: return
    }
    if mayBePaused, undecided.isExplained(bySilence: rule) { return }
    let identity = vcpus[run.vcpu].identity
    // The samples are taken around the guards, not at them: another writer may come in between.
    let unless =
      mayBePaused
      ? " (if the recorder was not paused)"
      : run.certainlyEntered
        ? "; or the shadow was written before the guard of guest entry, or behind that of guest exit"
        : " (if the guest was entered at all)"
    log.add(rule, .suspected, vcpu: identity, at: run.enter) {
      (
        statement + unless,
        [
          Evidence(run.enter, "kvm_entry", "shadow \(words(entry))"),
          Evidence(exit, "kvm_exit", "shadow \(words(after)) at kvm_vgic_sync_hwstate"),
        ]
      )
    }
    emit?(.finding(rule, .suspected, identity, run.enter))
  }

  /// Some event of each pass samples the shadow: a run without a sample had none, and its loads may have none either.
  private var samplesPasses: Bool {
    capabilities.samplesShadow
      && !probesHit.isDisjoint(with: [.flush, .vcpuRun, .sync, .handleExit])
  }

  /// A ptrauth trap of a run whose entry was not sampled, where the generation leaves it no reason.
  mutating func judgeUnsampledTrap(_ run: OpenRun, _ trap: PtrauthTrap, _ exit: Moment) {
    guard let generation, !configuration.generationIsWeak, vcpus[run.vcpu].state.feature == .both
    else { return }
    if generation.trap == .never {
      judgeUnsetLoad(run, trap, exit, nil)
    } else if generation.trap == .reachesHost, run.followsAnsweredTrap,
      run.exitSample == nil, probesHit.contains(.vcpuLoad), !samplesPasses
    {
      noteUntold(run, trap, exit)
    }
  }
}
