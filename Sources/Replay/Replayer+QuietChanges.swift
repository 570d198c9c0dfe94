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
    let index = run.vcpu
    guard run.entrySample == .clear, sample == .clear, run.exitSample ?? .clear == .clear,
      vcpus[index].state.feature != .unknown,
      let runs = vcpus[index].guestKeysRun, vcpus[index].counters.runs == runs &+ 1,
      isWrittenByNobody(index, slots, before)
    else { return }
    if quietChange == nil {
      quietChange = QuietChange(vcpu: index, enter: run.enter, exit: at)
    } else {
      quietChange?.count += 1
    }
  }

  /// At a load, before it, or at a trap, if its thread was in KVM_RUN since the put and no run had a bit set. (It may have
  /// run elsewhere meanwhile, on a pCPU of which the recorder lost all: so it accuses nobody, and is no clean recording
  /// either.)
  mutating func noteUnloadedChange(_ index: Int, _ event: borrowing Event) {
    guard let slots = event.hit.fields.guestKeys, let before = vcpus[index].keysAtPut.take(),
      before != slots, isWrittenByNobody(index, slots, before)
    else { return }
    undecided.note(.unexplained, .quietChange)
  }

  private func isWrittenByNobody(_ index: Int, _ slots: KeySlots, _ before: KeySlots) -> Bool {
    guard let generation, !configuration.generationIsWeak, !isThinned,
      generation.protectedKeys != .own, capabilities.hasUserspaceExit, !vcpus[index].isNested
    else { return false }
    // A reset that no probe shows writes them (PSCI CPU_ON, within KVM_RUN).
    return slots.differing(from: before).registers.contains { !slots.isReset($0.rawValue) }
  }

  /// At the end: a run that is missing explains one of them.
  mutating func judgeQuietChanges(isWhole: Bool) {
    guard let found = quietChange else { return }
    // Only a put and a load on the way tell of every return to user mode.
    guard isWhole, showsEveryLoad, probesHit.contains(.vcpuPut), found.count >= QuietChange.fewest,
      !mayLackEvents(from: nil, until: found.exit.time, end: found.exit.time)
    else {
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
