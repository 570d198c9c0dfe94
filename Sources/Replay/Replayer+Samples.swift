import Observation
import Ptrauth
import Trace

// What the probes of a run fetch, by where in it they are:
//
//     flush ── kvm_entry ── __kvm_vcpu_run ── guest ── sync ── kvm_exit ── handle_exit ── handler ── put
//     └─────────── its entry's ──────────┘             └────────── its exit's ──────────┘
extension Replayer {
  mutating func sampleAtEntry(
    _ index: Int, _ thread: ThreadRecord, _ at: Moment, _ sample: EnableBits?
  ) {
    guard let sample else { return }
    if thread.run != nil, thread.run?.exit == nil {
      // Called once between kvm_entry and kvm_exit: one of those is missing.
      if thread.run?.isInHyp == true {
        _ = endUnseen(index, thread, at)
        return
      }
      thread.run?.isInHyp = true
      thread.run?.entrySample = sample
      follow(index, .look, at, sample)
    } else {
      closeRun(of: thread, at.tid)
      // __kvm_vcpu_run comes behind kvm_entry: that is missing, and the next one is of another pass.
      if capabilities.hasEntryAndExit { ranUnseen(vcpu: index) }
    }
  }

  /// kvm_vgic_sync_hwstate: right after the last pass, interrupts still off. Also called when an
  /// iteration is abandoned before its kvm_entry.
  mutating func sampleAtSync(
    _ thread: ThreadRecord, _ at: Moment, _ sample: EnableBits?
  ) {
    guard let vcpu = thread.run?.vcpu, thread.run?.exit == nil else {
      thread.sampleBeforeEntry = nil
      return
    }
    thread.run?.exitSample = sample
    thread.run?.exitIsAtSync = sample != nil
    if capabilities.samplesShadow {
      follow(vcpu, .sync, at, sample)
    } else {
      followPasses(vcpu, thread, at)
    }
  }

  /// A sample after the exit and before the next load: handle_exit, or kvm_arch_vcpu_put.
  mutating func sampleAfterExit(
    _ index: Int, _ thread: ThreadRecord, _ at: Moment, _ function: KernelFunction,
    _ sample: EnableBits?, _ event: borrowing Event
  ) {
    if let pointer = event.hit.fields.hostContext {
      noteHostContext(index, at, function, pointer)
      if let slots = event.hit.fields.hostKeys { hostContexts.note(slots, of: pointer) }
    }
    compareFetched(index, thread, at, function, event)
    guard let run = thread.run, run.vcpu == index, run.exit != nil, !run.isOver else { return }
    guard at.cpu == run.cpu else {
      // Without a put and a load it cannot have moved.
      if probesHit.contains(.vcpuLoad) { broken(vcpu: index) }
      thread.run?.isOver = true
      return
    }
    guard !hasLeft(thread, run) else {
      // The put and the load of that are missing.
      if showsEveryLoad { broken(vcpu: index) }
      thread.run?.isOver = true
      return
    }
    // The handler of a trap may have set the bits before the put.
    let isBeforeHandler = function != .vcpuPut || run.trap == nil && !run.mayBeKeyTrap
    if run.exitSample == nil, isBeforeHandler { thread.run?.exitSample = sample }
    if run.resetSlots == nil, let guest = event.hit.fields.guestKeys {
      thread.run?.resetSlots = guest.resetMask
    }
    if let guest = event.hit.fields.guestKeys, let before = vcpus[index].guestKeys, before != guest
    {
      thread.run?.changedGuestSlots = true
      if function == .handleExit { noteQuietChange(run, at, guest, before: before, sample) }
      if run.entrySample?.switchesKeys == .set {
        vcpus[index].savedRegisters.formUnion(guest.differing(from: before))
        if vcpus[index].savedRegisters == .all { exercise(.missedGuestSave, index) }
      }
    }
    noteHostSlots(index, thread, at, function, event)
    checkKeySlots(index, thread, at, function, run, event)
  }

  /// Another thread was on its pCPU since its exit: the slots and the bits may be what that left.
  private func hasLeft(_ thread: ThreadRecord, _ run: OpenRun) -> Bool {
    guard let exit = run.exit, let stay = cpus[run.cpu]?.stay, stay.tid == exit.tid else {
      return false
    }
    return stay.since > exit.time
  }
}
