import Ptrauth
import Trace

/// The guest's slots were others behind a run than before it, with both bits clear at its ends: guest exit saves nothing
/// then, and user space writes them outside of KVM_RUN only.
struct QuietChange {
  var vcpu: Int
  var enter: Moment
  var exit: Moment
  var count: UInt64 = 1

  /// Fewer may be a run that nobody knows to be missing.
  static let fewest: UInt64 = 3
}

extension Replayer {
  /// - Parameters: the slots behind the run at `at`, and before it.
  mutating func noteQuietChange(
    _ run: OpenRun, _ at: Moment, _ slots: KeySlots, before: KeySlots, _ sample: EnableBits?
  ) {
    guard run.entrySample == .clear, sample == .clear, run.exitSample ?? .clear == .clear,
      let generation, !configuration.generationIsWeak, !isThinned,
      generation.protectedKeys != .own, capabilities.hasUserspaceExit
    else { return }
    let index = run.vcpu
    guard vcpus[index].state.feature != .unknown, !vcpus[index].isNested,
      let runs = vcpus[index].guestKeysRun, vcpus[index].counters.runs == runs &+ 1,
      // A reset that no probe shows writes them (PSCI CPU_ON, within KVM_RUN).
      slots.differing(from: before).registers.contains(where: { !slots.isReset($0.rawValue) })
    else { return }
    if quietChange == nil {
      quietChange = QuietChange(vcpu: index, enter: run.enter, exit: at)
    } else {
      quietChange?.count += 1
    }
  }

  /// At the end: a run that is missing explains one of them.
  mutating func judgeQuietChanges(isWhole: Bool) {
    guard let found = quietChange else { return }
    guard isWhole, found.count >= QuietChange.fewest else {
      return undecided.note(.unexplained, .quietChange)
    }
    let identity = vcpus[found.vcpu].identity
    log.add(.unexplained, .suspected, vcpu: identity, at: found.enter, count: found.count) {
      (
        "a guest's key slots changed over a run with API and APK clear at both ends: nothing writes them then",
        [
          Evidence(found.enter, "kvm_entry", "shadow \(words(.clear))"),
          Evidence(
            found.exit, "handle_exit", "shadow \(words(.clear)), other key slots than before"),
        ]
      )
    }
    emit?(.finding(.unexplained, .suspected, identity, found.enter))
  }
}
