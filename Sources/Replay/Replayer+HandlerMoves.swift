import Ptrauth

/// A thread between the entry and the return of kvm_arm_vcpu_ptrauth_trap.
struct OpenHandler {
  var vcpu: Int
  var entry: Moment
  /// The first switch to another task.
  var left: Moment?
  /// A load since then, and whether it found the bits set: then the enable came before the switch.
  var load: Moment?
  var enabledBefore = false
}

// The preemptible host save (v7 to 5.7): whose slots did it write?
//
//     thread, pCPU 0          pCPU 0, another process       thread, pCPU 1
//     handler entered
//     bits set; saving ..
//     sched_switch ────────▶  load, trap, save
//                             (relies on these slots)       load (finds the bits set)
//                                                           saving .. into pCPU 0's slots
//                                                           handler returns
//
// A switch right behind the enable, or behind the last store, splits nothing, and looks the same: suspected. What the
// split does to the other process shows in the slots (missed-host-save).
extension Replayer {
  /// kvm_arch_vcpu_load of a thread that was preempted inside the handler. `sample`: before the clear.
  func noteLoadInHandler(_ thread: ThreadRecord, _ at: Moment, _ sample: EnableBits?) {
    guard thread.handler?.left != nil, thread.handler?.load == nil else { return }
    thread.handler?.load = at
    thread.handler?.enabledBefore = sample?.switchesKeys == .set
  }

  mutating func handlerReturned(_ thread: ThreadRecord, _ at: Moment) {
    guard let handler = thread.handler else { return }
    thread.handler = nil
    vcpus[handler.vcpu].handlings.end(at.time)
    exercise(.preemptibleHostSave, handler.vcpu)
    if handler.left != nil { thread.hostKeys.preempted = at }
    guard generation?.hostSave == .preemptibleTrap, !configuration.generationIsWeak,
      let left = handler.left, let load = handler.load, handler.enabledBefore,
      at.cpu != handler.entry.cpu, vcpus[handler.vcpu].state.feature == .both
    else { return }
    let own = vcpus[handler.vcpu].pid
    let place = handler.entry.cpu
    guard own >= 0, let slots = cpus[place]?.state.hostSlots, slots.isFresh == .set,
      let owner = slots.process, owner >= 0, owner != own
    else { return }
    guard lookups.mayVisit(vcpus.count, after: eventCount) else {
      return undecided.note(.preemptibleHostSave, .crowd)
    }
    guard vcpus.contains(where: { $0.pid == owner && $0.state.loadedOn == place }) else { return }
    let identity = vcpus[handler.vcpu].identity
    log.add(.preemptibleHostSave, .suspected, vcpu: identity, at: handler.entry) {
      (
        "process \(own) was moved to pCPU \(at.cpu) between its enable and the end of its host save, while process "
          + "\(owner) relied on the slots of pCPU \(place), which the save goes on writing, unless it was through or had "
          + "not begun",
        [
          Evidence(handler.entry, "kvm_arm_vcpu_ptrauth_trap"),
          Evidence(left, "sched_switch", "inside the handler"),
          Evidence(load, "kvm_arch_vcpu_load", "the bits were set before it"),
          Evidence(at, "kvm_arm_vcpu_ptrauth_trap", "returns on another pCPU"),
        ]
      )
    }
    emit?(.finding(.preemptibleHostSave, .suspected, identity, handler.entry))
  }
}
