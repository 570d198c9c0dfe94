import Ptrauth
import Trace

/// The guest's slots changed where nothing writes them: over a run with both bits clear at its ends, as guest exit saves
/// nothing then, or from a put to the next load, as user space writes them outside of KVM_RUN only.
struct QuietChange {
  var vcpu: Int
  var place: Place
  var begin: Moment
  var end: Moment
  var count: UInt64 = 1

  enum Place {
    case run
    case unloaded
  }

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
      let runs = vcpus[index].guestKeysRun, vcpus[index].counters.runs == runs &+ 1
    else { return }
    noteQuietChange(
      QuietChange(vcpu: index, place: .run, begin: run.enter, end: at), slots, before)
  }

  /// At a load, before it: its thread was in KVM_RUN since the put.
  mutating func noteUnloadedChange(_ index: Int, _ at: Moment, _ event: borrowing Event) {
    guard let put = vcpus[index].keysAtPut.take(), let slots = event.hit.fields.guestKeys,
      put.keys != slots
    else { return }
    noteQuietChange(
      QuietChange(vcpu: index, place: .unloaded, begin: put.at, end: at), slots, put.keys)
  }

  private mutating func noteQuietChange(
    _ change: QuietChange, _ slots: KeySlots, _ before: KeySlots
  ) {
    guard let generation, !configuration.generationIsWeak, !isThinned,
      generation.protectedKeys != .own, capabilities.hasUserspaceExit,
      !vcpus[change.vcpu].isNested,
      // A reset that no probe shows writes them (PSCI CPU_ON, within KVM_RUN).
      slots.differing(from: before).registers.contains(where: { !slots.isReset($0.rawValue) })
    else { return }
    if quietChange == nil {
      quietChange = change
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
    log.add(.unexplained, .suspected, vcpu: identity, at: found.begin, count: found.count) {
      switch found.place {
      case .run:
        (
          "a guest's key slots changed over a run with API and APK clear at both ends: nothing writes them then",
          [
            Evidence(found.begin, "kvm_entry", "shadow \(words(.clear))"),
            Evidence(
              found.end, "handle_exit", "shadow \(words(.clear)), other key slots than before"),
          ]
        )
      case .unloaded:
        (
          "a guest's key slots changed from a put to the next load, with its thread in KVM_RUN: nothing writes them then",
          [
            Evidence(found.begin, "kvm_arch_vcpu_put", ""),
            Evidence(found.end, "kvm_arch_vcpu_load", "other key slots than at the put"),
          ]
        )
      }
    }
    emit?(.finding(.unexplained, .suspected, identity, found.begin))
  }
}
