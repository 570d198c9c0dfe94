import Ptrauth
import Trace

// What may write a guest's key slots: guest exit of a run that switched keys, user space behind a kvm_userspace_exit
// (KVM_SET_ONE_REG waits for the end of KVM_RUN), and a reset. Between two samples with none of these they stay:
//
//     handle_exit ── put ── load ── kvm_entry, both bits clear, kvm_exit ── handle_exit
//     G              G      G                                              G
//
// The host's key there, behind a run with both bits clear: guest exit saved what guest entry had not loaded.

/// Where a guest's key slots were sampled last.
struct SlotSight {
  var at: Moment
  var function: KernelFunction
}

/// Slots of a guest that changed, though nothing that writes them was seen.
struct SlotChange {
  var vcpu: Int
  var before: SlotSight
  var after: SlotSight
  /// The run in between, if there was one.
  var enter: Moment?
  var registers: RegisterSet
  /// They became the host's.
  var isHosts: Bool
}

extension Replayer {
  private static let mostSlotChanges = 1024

  mutating func judgeKeptSlots(
    _ index: Int, _ thread: ThreadRecord, _ at: Moment, _ function: KernelFunction,
    _ sample: EnableBits?, _ event: borrowing Event
  ) {
    guard let guest = event.hit.fields.guestKeys, let before = vcpus[index].guestKeys,
      let seen = vcpus[index].slotsSeen, function.looksAtKeptSlots,
      keepsSlots(index, thread, sample)
    else { return }
    let run = vcpus[index].runsSinceSlots == 0 ? nil : thread.run
    let changed = guest.differing(from: before)
    let host = event.hit.fields.hostKeys
    let isHosts = changed.registers.contains { register in
      let i = register.rawValue
      return run != nil && !guest.isZero(i) && !guest.isReset(i)
        && host.map { guest.isSame(i, as: $0) } ?? false
    }
    // Within one exit probes are compared anyhow.
    if !isHosts, run != nil || function == .vcpuLoad {
      fetchChecks.note(.guestSlots, seen.function, function, isSame: changed.isEmpty)
    }
    // A reset that no probe showed.
    guard changed.registers.contains(where: { !guest.isReset($0.rawValue) }),
      slotChanges.count < Self.mostSlotChanges
    else { return }
    slotChanges.append(
      SlotChange(
        vcpu: index, before: seen, after: SlotSight(at: at, function: function), enter: run?.enter,
        registers: changed, isHosts: isHosts))
  }

  /// Nothing that writes the guest's slots came since they were sampled.
  private func keepsSlots(_ index: Int, _ thread: ThreadRecord, _ sample: EnableBits?) -> Bool {
    guard !vcpus[index].slotsAreUsers, capabilities.hasUserspaceExit, generation != nil,
      !configuration.generationIsWeak, !isThinned, !vcpus[index].isNested, !thread.skippedAPlace
    else { return false }
    guard vcpus[index].runsSinceSlots > 0 else { return true }
    guard vcpus[index].runsSinceSlots == 1, let run = thread.run, run.vcpu == index,
      run.exit != nil, !run.isOver, !run.followsSkippedPlace, run.entrySample == .clear
    else { return false }
    return (run.exitSample ?? sample) == .clear
  }

  mutating func noteSlots(
    _ index: Int, _ thread: ThreadRecord, _ at: Moment, _ function: KernelFunction
  ) {
    vcpus[index].slotsSeen = SlotSight(at: at, function: function)
    let isInRun = thread.run?.vcpu == index && thread.run?.exit == nil
    vcpus[index].runsSinceSlots = isInRun ? 1 : 0
  }

  /// At the end, those that nothing missing explains.
  mutating func commitSlotChanges() {
    defer { slotChanges = [] }
    guard let generation, !leavesOutTasks, missingParts.isEmpty else { return }
    let leak: Rule =
      impossibility(of: .hostKeyLeak, in: generation) == nil ? .hostKeyLeak : .unexplained
    for found in slotChanges {
      let (begin, end) = (found.before.at, found.after.at)
      guard !mayLackEvents(from: begin.cpu, until: end.time, end: end.time),
        !silences.isIn(time: begin.time, end.time)
      else { continue }
      let rule = found.isHosts ? leak : .unexplained
      let identity = vcpus[found.vcpu].identity
      log.add(rule, .suspected, vcpu: identity, at: end) {
        (
          "the guest's key slots changed (\(words(found.registers.registers))), "
            + (found.enter == nil ? "and no run" : "and no run with ptrauth enabled")
            + ", return to user space or reset was seen that could have written them"
            + (found.isHosts ? "; they hold the host's keys" : ""),
          [
            Evidence(begin, found.before.function.rawValue, "the guest's slots as they were"),
            found.enter.map { Evidence($0, "kvm_entry", "shadow \(words(.clear))") },
            Evidence(end, found.after.function.rawValue, "the guest's slots changed"),
          ].compactMap(\.self)
        )
      }
      emit?(.finding(rule, .suspected, identity, end))
    }
  }
}

extension KernelFunction {
  /// Probes between a kvm_exit and the next kvm_entry, but for what comes right before it.
  fileprivate var looksAtKeptSlots: Bool {
    switch self {
    case .vcpuLoad, .vcpuPut, .handleExit, .handlePtrauth, .ptrauthTrap: true
    default: false
    }
  }
}
