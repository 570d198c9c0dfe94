import Ptrauth
import Trace

// Whose keys the host slots hold, from their values: a process id is not in every recording, and says
// less, for processes that were forked and never called exec have the same keys.
//
//     thread    handler entered ── saves ──▶ kvm_entry .. kvm_exit   probe: slots = K, its own
//               (slots sampled)                                          │ put, load, other threads' saves
//     later                                  kvm_entry .. kvm_exit   probe: slots = S
//                                            without a trap before
//
// If S differs from K, a guest exit of this thread restored keys that were not its own (the later run certainly
// entered the guest with a bit set):
//  - K are the thread's keys: then it was the later one, which restored S.
//  - K are not: then the save did not take place (the slots were nobody else's to write meanwhile: the
//    vCPU stayed loaded), and it was already the first one, which restored K.
// So K is taken where the save is seen to have written (the slots changed), where the first run certainly entered
// too, or where the slots hold what was learned of the thread before.
// This takes K to be what was live when the handler ran, which is the thread's own unless a guest exit before
// it restored other keys and no task switch set that right: such a save is not learned from. And it takes the thread
// not to have changed its keys since (PR_PAC_RESET_KEYS, exec), which it does in user mode, before its next
// save: K is forgotten at a save behind a kvm_userspace_exit, and learned again from it.
extension Replayer {
  /// The trap handler is entered; it will save.
  mutating func beginSave(_ index: Int, _ at: Moment, slots: KeySlots?, context: UInt64?) {
    guard let thread = threads[at.tid] else { return }
    // Without the feature there is only an UNDEF.
    if vcpus[index].state.feature == .none || vcpus[index].state.feature == .partial { return }
    if thread.hostKeys.mayHaveChanged || !capabilities.hasUserspaceExit {
      thread.hostKeys.earlier = thread.hostKeys.own ?? thread.hostKeys.earlier
      thread.hostKeys.own = nil
    }
    thread.hostKeys.save = nil
    guard generation?.hostSave == .preemptibleTrap, let slots, let context, context != 0 else {
      return
    }
    // A switch to it was seen, and no exit that restored keys since.
    let isOwn =
      thread.hostKeys.isForeign == .clear
      || thread.hostKeys.isForeign == .unknown && cpus[at.cpu]?.running == at.tid
    thread.hostKeys.save = OpenSave(
      context: context, before: slots, at: at, mayBeForeign: !isOwn)
  }

  /// The host slots after an exit: what guest exit restored from, if it did.
  mutating func noteHostSlots(_ index: Int, _ at: Moment, _ fields: borrowing ProbeFields) {
    guard let thread = threads[at.tid], let slots = fields.hostKeys,
      let context = fields.hostContext, context != 0, !log.contains(.staleHostContext),
      !(0..<10).contains(where: { slots.isZero($0) })
    else { return }
    if let save = thread.hostKeys.save, save.isThrough, save.context == context {
      if !save.isCompared {
        thread.hostKeys.save?.isCompared = true
        if save.before == slots { noteRepeatedSave(index, save.at) }
      }
      let isUsed = thread.run.map {
        $0.entrySample?.switchesKeys == .set && $0.certainlyEntered
      }
      if save.before != slots || thread.hostKeys.earlier?.keys == slots || isUsed == true {
        thread.hostKeys.save = nil
        if !save.mayBeForeign {
          thread.hostKeys.own = OwnKeys(keys: slots, at: save.at)
          thread.hostKeys.mayHaveChanged = false
        } else if thread.hostKeys.areUnchanged(in: slots) {
          thread.hostKeys.own = thread.hostKeys.own ?? thread.hostKeys.earlier
          thread.hostKeys.mayHaveChanged = false
        }
      }
    }
    guard let own = thread.hostKeys.own else {
      // They are another's only if another has them: this thread may have new ones.
      if let earlier = thread.hostKeys.earlier, earlier.keys != slots,
        threads.values.contains(where: { $0 !== thread && $0.hostKeys.own?.keys == slots })
      {
        thread.hostKeys.foreign = slots
      }
      return
    }
    guard thread.run?.restored == nil else { return }
    if own.keys == slots {
      thread.run?.restored = .own
      thread.hostKeys.isForeign = .clear
      thread.hostKeys.foreign = nil
    } else {
      thread.hostKeys.foreign = slots
      thread.run?.restored = .others(than: own.at)
    }
  }
}
