import Ptrauth
import Trace

// Whose keys the host slots hold, from their values: a process id is not in every recording, and says
// less, for processes that were forked and never called exec have the same keys.
//
//     thread    handler entered ── saves ──▶ kvm_entry .. kvm_exit   probe: slots = K
//               (slots sampled)                                          │ put, load, other threads' saves
//     later                                  kvm_entry .. kvm_exit   probe: slots = S
//
// Equality with nobody's known keys says nothing: a save that wrote nothing leaves the slots as they were, and
// so does one that wrote what they held. So K is taken for the thread's own
//  - if the slots changed over the save, of what was live, and that was the thread's own (*written*);
//  - or, until the thread is next in user mode, because a run restored it (*restored*): if a later run restores
//    S ≠ K, one of the two ran on keys that are not the thread's.
// A thread changes its keys in user mode only (PR_PAC_RESET_KEYS, exec), so K is what it *had* behind a
// kvm_userspace_exit, and each change makes a random key. So even then S is not its own if another thread saved S as its
// own, and was there already when this one still had K: it cannot have inherited S, and nobody guesses it. Neither
// is S its own if it holds K's value of one register in another register.
//
// Compared are the registers in which a task's own keys are in the kernel too (``Generation/ownInKernel``).
extension Replayer {
  /// The trap handler is entered; it will save.
  mutating func beginSave(
    _ index: Int, _ thread: ThreadRecord, _ at: Moment, slots: KeySlots?, context: UInt64?
  ) {
    if let slots, let context { hostContexts.note(slots, of: context) }
    // Without the feature there is only an UNDEF.
    if vcpus[index].state.feature == .none || vcpus[index].state.feature == .partial { return }
    if thread.hostKeys.mayHaveChanged || !capabilities.hasUserspaceExit {
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
    thread.hostKeys.savedForeign = !isOwn
    thread.hostKeys.save = OpenSave(
      context: context, before: slots, at: at, mayBeForeign: !isOwn,
      ofRestored: thread.hostKeys.isRestored, leftByExit: thread.hostKeys.leftByExit)
  }

  /// The host slots after an exit: what guest exit restored from, if it did.
  mutating func noteHostSlots(
    _ index: Int, _ thread: ThreadRecord, _ at: Moment, _ function: KernelFunction,
    _ event: borrowing Event
  ) {
    guard let slots = event.hit.fields.hostKeys, let context = event.hit.fields.hostContext,
      context != 0, !log.hasStaleContext
    else { return }
    let before = hostContexts.exchange(slots, of: context)
    // (A probe that fetches the guest's in their place shows those of each vCPU in turn.)
    if let before, before != slots, event.hit.fields.guestKeys != slots {
      judgeStrayKeys(index, thread, at, function, slots)
    }
    guard !ownRegisters.isEmpty, ownRegisters.isDisjoint(with: slots.zeros) else { return }
    if let save = thread.hostKeys.save, save.isThrough, save.context == context {
      thread.run?.savedAsLeft = save.leftByExit
      learn(thread, index, save, slots)
    }
    if let returned = thread.hostKeys.preempted {
      thread.hostKeys.preempted = nil
      if before == slots { doubtSave(thread, slots, since: returned) }
    }
    guard thread.run?.restored == nil else { return }
    let whose = restored(thread, slots)
    thread.run?.restored = whose
    switch whose {
    case .own:
      // A run with both bits clear restores nothing, nor does guest exit where it finds them so.
      if thread.run?.entrySample?.switchesKeys == .set,
        thread.run?.exitSample?.switchesKeys != .clear
      {
        thread.hostKeys.isRestored = true
        thread.hostKeys.isForeign = .clear
        thread.hostKeys.foreign = nil
      }
    case .others, .anothers, .otherProcess: thread.hostKeys.foreign = slots
    case .moved, nil: break
    }
  }

  /// The trap's handler was preempted, and set the bits when it went on; the slots are as another thread left them, so it
  /// saved the same or nothing since.
  private mutating func doubtSave(
    _ thread: ThreadRecord, _ slots: KeySlots, since returned: Moment
  ) {
    guard let run = thread.run, run.entrySample?.switchesKeys == .set,
      run.enter.time > returned.time, run.certainlyEntered
    else { return }
    if let own = thread.hostKeys.learned?.keys,
      slots.differing(from: own, in: ownRegisters).isEmpty
    {
      return
    }
    guard let saver = cpus[run.cpu]?.state.hostSlots.process, saver >= 0,
      vcpus[run.vcpu].pid >= 0, saver != vcpus[run.vcpu].pid
    else { return }
    undecided.note(.missedHostSave, .moved)
  }

  private mutating func learn(
    _ thread: ThreadRecord, _ index: Int, _ save: OpenSave, _ slots: KeySlots
  ) {
    if !save.isCompared {
      thread.hostKeys.save?.isCompared = true
      if save.before == slots { noteRepeatedSave(index, save.at) }
    }
    let isUsed =
      thread.run.map { $0.entrySample?.switchesKeys == .set && $0.certainlyEntered } ?? false
    let wrote = !slots.differing(from: save.before, in: ownRegisters).isEmpty
    guard wrote || isUsed else { return }
    thread.hostKeys.save = nil
    let known = thread.hostKeys.learned?.keys
    let isMoved = known.map { !slots.moved(from: $0, in: ownRegisters).isEmpty } ?? false
    if save.mayBeForeign {
      if wrote, thread.hostKeys.areUnchanged(in: slots), let learned = thread.hostKeys.learned {
        thread.hostKeys.learn(learned)
        thread.hostKeys.mayHaveChanged = false
      }
    } else if wrote, !isMoved {
      // What was known before still has to agree with it: nothing changed it since.
      guard thread.hostKeys.own == nil, !areGuests(slots, index) else { return }
      thread.hostKeys.learn(
        OwnKeys(keys: slots, at: save.at, basis: .written, isOfRestored: save.ofRestored))
      thread.hostKeys.mayHaveChanged = false
      if isUsed { exercise(.missedHostSave, index) }
    } else if thread.hostKeys.own == nil, !isMoved, !areGuests(slots, index),
      restored(thread, slots) == nil
    {
      thread.hostKeys.learn(
        OwnKeys(keys: slots, at: save.at, basis: .restored, isOfRestored: save.ofRestored))
      thread.hostKeys.mayHaveChanged = false
    }
  }

  /// A save wrote keys that the guest had: what the thread ran on then was not its own.
  private func areGuests(_ slots: KeySlots, _ index: Int) -> Bool {
    let guests = [vcpus[index].guestKeys, vcpus[index].keysAfterRun?.guest].compactMap(\.self)
    return ownRegisters.registers.contains { register in
      let i = register.rawValue
      return !slots.isZero(i) && !slots.isReset(i) && guests.contains { $0.isSame(i, as: slots) }
    }
  }

  /// Whose keys `slots` are, as far as that is known.
  private mutating func restored(_ thread: ThreadRecord, _ slots: KeySlots) -> RestoredKeys? {
    let watch = thread.hostKeys
    if let learned = watch.learned {
      let moved = slots.moved(from: learned.keys, in: ownRegisters)
      if !moved.isEmpty { return .moved(from: learned.at, moved) }
    }
    if let own = watch.own {
      guard slots.differing(from: own.keys, in: ownRegisters).isEmpty else {
        return .others(than: own.at)
      }
      return own.basis == .written ? .own : nil
    }
    guard let earlier = watch.earlier else { return otherProcess(thread, slots) }
    let other = slots.differing(from: earlier.keys, in: ownRegisters)
    guard !other.isEmpty else { return nil }
    if let foreign = watch.foreign, slots.differing(from: foreign, in: ownRegisters).isEmpty {
      return .anothers(since: earlier.at)
    }
    guard mayVisitThreads() else { return nil }
    func hasSaved(_ another: ThreadRecord) -> Bool {
      guard another !== thread, another.firstTime < earlier.at.time,
        let theirs = another.hostKeys.learned?.keys
      else { return false }
      return other.registers.contains { theirs.isSame($0.rawValue, as: slots) }
    }
    let isAnothers = threads.values.contains(where: hasSaved) || departed.contains(where: hasSaved)
    return isAnothers ? .anothers(since: earlier.at) : nil
  }

  /// A thread of which no save wrote anything: its slots hold what a thread of another process saved as its own, and
  /// another thread of its own process saved others. (Threads have their process's keys, unless they change them.)
  private mutating func otherProcess(_ thread: ThreadRecord, _ slots: KeySlots) -> RestoredKeys? {
    guard thread.pid >= 0, thread.run?.entrySample?.switchesKeys == .set,
      thread.hostKeys.comparisons < HostKeyWatch.mostComparisons
    else { return nil }
    thread.hostKeys.comparisons += 1
    guard mayVisitThreads() else { return nil }
    // The first of each, as a dictionary has no order.
    var process: Int32?
    var sibling: Moment?
    for other in threads.values where other !== thread && other.pid >= 0 {
      guard let keys = other.hostKeys.learned else { continue }
      let differing = slots.differing(from: keys.keys, in: ownRegisters)
      if other.pid == thread.pid {
        guard differing == ownRegisters else { return nil }
        if keys.at.time < sibling?.time ?? .max { sibling = keys.at }
      } else if differing.isEmpty {
        process = min(process ?? .max, other.pid)
      }
    }
    guard let process, let sibling else { return nil }
    return .otherProcess(process, since: sibling)
  }

  private mutating func mayVisitThreads() -> Bool {
    if lookups.mayVisit(threads.all.count, after: eventCount) { return true }
    undecided.note(.missedHostSave, .crowd)
    return false
  }
}
