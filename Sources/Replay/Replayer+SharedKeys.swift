import Ptrauth
import Trace

// Guest and host slots that hold the same key. Whose it was tells which way it went:
//
//     after a run      guest slot   host slot
//     before           G            H
//     guest's changed  H            H           the guest ran on the host's keys, and they were saved; or guest exit
//                                               saved behind its restore, and the next entry restores them
//     host's changed   G            G           the host ran on the guest's keys, and they were saved
//
// A slot that changes shows whose key it is only if the other side's is known: H is the host's if the thread saved it
// as its own, and G is none of the host's if the host's slots held the thread's own keys when the guest's held G. Otherwise
// the guest's slot may have got the host's key in a run that saved without having restored, and either may be true.
extension Replayer {
  /// A run may have saved the host's keys as the guest's: it loaded none, or its guest ran on the host's.
  private var mayHaveLeaked: Bool {
    log.contains(.hostKeyLeak) || undecided[.hostKeyLeak] != nil
      || undecided[.missedGuestSave] != nil
  }

  mutating func judgeSharedKeys(
    _ index: Int, _ thread: ThreadRecord, _ at: Moment, _ function: KernelFunction, _ run: OpenRun,
    _ guest: KeySlots, _ host: KeySlots
  ) {
    guard let exit = run.exit else { return }
    let before = vcpus[index].guestKeys
    let earlier = vcpus[index].keysAfterRun
    let process = vcpus[index].pid
    let own = thread.hostKeys.learned?.keys
    let hostIsOwn = if case .own = thread.run?.restored { true } else { false }
    // Keys that the guest itself writes in each run show nothing: they must come out as they went in.
    if let own, let before, run.certainlyEntered, before == guest, guest.resetMask == 0,
      guest.differing(from: own, in: ownRegisters) == ownRegisters
    {
      exercise(.missedGuestRestore, index)
    }
    let saved = ownRegisters.intersection(thread.run?.savedAsLeft ?? [])
    if !saved.isEmpty, let earlier, earlier.process == process,
      saved.registers.contains(where: { earlier.wouldShow($0, in: host) })
    {
      exercise(.missedHostRestore, index)
    }
    if let before { judgeExchangedKeys(index, at, function, run, before, guest) }
    var (toGuest, toHost, unclear, perhapsToHost): (UInt16, UInt16, UInt16, UInt16) = (0, 0, 0, 0)
    var differ: UInt16 = 0
    for i in 0..<10 {
      let bit = UInt16(1) << UInt16(i)
      guard guest.isSame(i, as: host) else {
        differ |= bit
        // The guest has another key by now; the host's save came before this run.
        if let earlier, earlier.process == process, earlier.guest.isSame(i, as: host),
          !host.isZero(i), !host.isReset(i)
        {
          if earlier.provesGuests(bit, ownRegisters) {
            toHost |= bit
          } else if earlier.differ & bit != 0, !mayHaveLeaked {
            perhapsToHost |= bit
          }
        }
        continue
      }
      guard !guest.isZero(i), !guest.isReset(i) else { continue }
      if let before, !before.isSame(i, as: guest), own?.isSame(i, as: host) ?? false {
        toGuest |= bit
      } else if let earlier, earlier.process == process, earlier.guest.isSame(i, as: guest),
        earlier.provesGuests(bit, ownRegisters)
      {
        toHost |= bit
      } else if let earlier, earlier.toGuest & bit != 0 {
        toGuest |= bit
      } else if let earlier, earlier.process == process, earlier.guest.isSame(i, as: guest),
        (earlier.differ | earlier.perhapsToHost) & bit != 0, !mayHaveLeaked
      {
        // No run was seen that saved the host's keys as the guest's.
        perhapsToHost |= bit
      } else {
        unclear |= bit
      }
    }
    vcpus[index].keysAfterRun = KeysAfterRun(
      guest: guest, differ: differ, hostWasOwn: hostIsOwn, toGuest: toGuest, toHost: toHost,
      perhapsToHost: perhapsToHost,
      process: process)
    func report(_ rule: Rule, _ level: Finding.Level, _ keys: UInt16, _ statement: String) {
      let shared = KeyRegister.allCases.filter { keys >> UInt16($0.rawValue) & 1 == 1 }
      log.add(rule, level, vcpu: vcpus[index].identity, at: run.enter) {
        (
          statement + " (\(words(shared)))",
          [
            Evidence(run.enter, "kvm_entry", "shadow \(words(run.entrySample ?? .unknown))"),
            Evidence(exit, "kvm_exit", words(ret: run.ret, ec: run.ec)),
            Evidence(
              at, function.rawValue,
              "the host's slot holds the guest's key, or that of before: \(words(shared))"),
          ]
        )
      }
      emit?(.finding(rule, level, vcpus[index].identity, run.enter))
    }
    if toGuest != 0 {
      undecided.note(.missedGuestSave, .hostKeysSaved)
      report(
        .missedGuestRestore, .suspected, toGuest,
        "after the run the guest's slots hold the host's keys: the guest ran on them, or guest exit saved them "
          + "when it had restored the host's (missed-guest-save), for the next entry")
    }
    if toHost != 0 {
      report(
        .missedHostRestore, .proved, toHost,
        "the host's slots came to hold keys that the guest had before the run: the host ran on them when it "
          + "saved its own")
    }
    if perhapsToHost != 0 {
      report(
        .missedHostRestore, .suspected, perhapsToHost,
        "the host's slots came to hold keys that the guest had before the run: the host ran on them when it "
          + "saved its own, unless the guest had got the host's before")
    }
    if toGuest | toHost | perhapsToHost == 0, unclear != 0 {
      report(
        .missedGuestRestore, .suspected, unclear,
        "after the run the guest's slots hold the host's keys; whether the guest ran on the host's or the "
          + "host on the guest's was not recorded")
    }
  }
}

// Two keys of the guest that changed places over a run: guest entry restored each where the other belongs, or the
// guest itself exchanged them, which no event tells.
extension Replayer {
  private mutating func judgeExchangedKeys(
    _ index: Int, _ at: Moment, _ function: KernelFunction, _ run: OpenRun, _ before: KeySlots,
    _ after: KeySlots
  ) {
    guard let exit = run.exit else { return }
    let exchanged = after.exchanged(from: before)
    guard !exchanged.isEmpty else { return }
    let identity = vcpus[index].identity
    log.add(.missedGuestRestore, .suspected, vcpu: identity, at: run.enter) {
      (
        "over the run keys of the guest changed places (\(words(exchanged.registers))): guest entry restored them so, "
          + "guest exit saved them so (partial-key-set), or the guest exchanged them itself",
        [
          Evidence(run.enter, "kvm_entry", "shadow \(words(run.entrySample ?? .unknown))"),
          Evidence(exit, "kvm_exit", words(ret: run.ret, ec: run.ec)),
          Evidence(at, function.rawValue, "the slots hold what others of them held before"),
        ]
      )
    }
    emit?(.finding(.missedGuestRestore, .suspected, identity, run.enter))
  }
}
