import Ptrauth
import Trace

// What sampled key slots prove. Values are compared, never said.
extension Replayer {
  /// vcpu->arch.host_cpu_context as a handler or put saw it. Per-CPU data: it belongs to one pCPU.
  /// (At kvm_arch_vcpu_load it is still the previous load's; not looked at.)
  mutating func noteHostContext(
    _ index: Int, _ at: Moment, _ function: KernelFunction, _ pointer: UInt64
  ) {
    guard generation?.hasHostContextPointer ?? true,
      let contradiction = hostContexts.note(pointer, at, function)
    else { return }
    log.add(.staleHostContext, .proved, vcpu: vcpus[index].identity, at: at) {
      switch contradiction {
      case .samePointer(let other):
        (
          "the same host context was in force on pCPU \(other.at.cpu) and on pCPU \(at.cpu)",
          [
            Evidence(other.at, other.function.rawValue, "host_ctxt=\(hex(pointer))"),
            Evidence(at, function.rawValue, "host_ctxt=\(hex(pointer))"),
          ]
        )
      case .otherPointer(let first, let seen):
        (
          "pCPU \(at.cpu) was seen with two host contexts: one belongs to another pCPU",
          [
            Evidence(seen.at, seen.function.rawValue, "host_ctxt=\(hex(first))"),
            Evidence(at, function.rawValue, "host_ctxt=\(hex(pointer))"),
          ]
        )
      }
    }
    emit?(.finding(.staleHostContext, .proved, vcpus[index].identity, at))
  }

  /// The slots after an exit, before anything else could touch them.
  mutating func checkKeySlots(
    _ index: Int, _ at: Moment, _ function: KernelFunction, _ run: OpenRun,
    _ fields: borrowing ProbeFields
  ) {
    guard run.entrySample?.switchesKeys == .set, let exit = run.exit, !run.isChecked else { return }
    threads[at.tid]?.run?.isChecked = true
    let identity = vcpus[index].identity
    // With a stale context the slots sampled are not those that guest exit restores.
    if let host = fields.hostKeys, let context = fields.hostContext, context != 0,
      !log.contains(.staleHostContext)
    {
      let unwritten = KeyRegister.allCases.filter { host.isZero($0.rawValue) }
      if !unwritten.isEmpty {
        log.add(.missedHostSave, .proved, vcpu: identity, at: run.enter) {
          (
            "the guest ran with ptrauth enabled; the host slots that guest exit restored were "
              + "never written (\(words(unwritten)))",
            [
              Evidence(run.enter, "kvm_entry", "shadow \(words(run.entrySample ?? .unknown))"),
              Evidence(exit, "kvm_exit", words(ret: run.ret, ec: run.ec)),
              Evidence(
                at, function.rawValue,
                "host_ctxt=\(hex(context)), slots still zero: \(words(unwritten))"),
            ]
          )
        }
        emit?(.finding(.missedHostSave, .proved, identity, run.enter))
      }
    }
    if let host = fields.hostKeys, let guest = fields.guestKeys {
      let shared = KeyRegister.allCases.filter {
        let i = $0.rawValue
        return !guest.isZero(i) && !guest.isReset(i) && guest.isSame(i, as: host)
      }
      if !shared.isEmpty {
        log.add(.missedGuestRestore, .proved, vcpu: identity, at: run.enter) {
          (
            "after the run the guest's slots hold the host's keys (\(words(shared))): the guest "
              + "ran on them",
            [
              Evidence(run.enter, "kvm_entry", "shadow \(words(run.entrySample ?? .unknown))"),
              Evidence(exit, "kvm_exit", words(ret: run.ret, ec: run.ec)),
              Evidence(at, function.rawValue, "guest slot equals host slot: \(words(shared))"),
            ]
          )
        }
        emit?(.finding(.missedGuestRestore, .proved, identity, run.enter))
      }
    }
  }

  /// A guest's own write of a key register trapped, was retried with ptrauth enabled, and the slot
  /// still holds what the reset left there: guest exit did not save it. Two exits are asked for,
  /// since an interrupt may be taken in the guest before the retried instruction.
  mutating func followGuestWrite(_ run: OpenRun, atEntry: EnableBits) {
    let index = run.vcpu
    if var write = vcpus[index].pendingWrite, run.trap == nil, let exit = run.exit,
      run.entrySample?.apk == .set, run.certainlyEntered, let slots = run.resetSlots
    {
      if write.retry == nil { write.retry = run.enter }
      let bit = UInt16(1) << UInt16(write.register.rawValue)
      if slots & bit == 0 {
        vcpus[index].pendingWrite = nil
      } else if run.exitPC != write.pc {
        write.unchangedExits += 1
        vcpus[index].pendingWrite = write
        if write.unchangedExits >= 2 {
          let retry = write.retry ?? run.enter
          let identity = vcpus[index].identity
          log.add(.missedGuestSave, .proved, vcpu: identity, at: exit) {
            (
              "the guest's write of \(write.register.name) was retried and run; its slot still "
                + "holds the value of the vCPU reset",
              [
                Evidence(write.trap, "kvm_exit", "trapped write of \(write.register.name)"),
                Evidence(retry, "kvm_entry", "retried with shadow \(words(.set))"),
                Evidence(exit, "kvm_exit", words(ret: run.ret, ec: run.ec)),
                Evidence(exit, "the probe after it", "\(write.register.name) slot unchanged"),
              ]
            )
          }
          emit?(.finding(.missedGuestSave, .proved, identity, exit))
          vcpus[index].pendingWrite = nil
        }
      }
    }
    if case .register(let access) = run.trap, access.isWrite, vcpus[index].state.feature == .both,
      let exit = run.exit, let slots = run.resetSlots,
      slots & (UInt16(1) << UInt16(access.register.rawValue)) != 0
    {
      vcpus[index].pendingWrite = GuestKeyWrite(
        register: access.register, pc: run.exitPC, trap: exit)
    }
  }
}

extension KeySlots {
  /// Bit i set: register i still holds its reset value.
  var resetMask: UInt16 {
    var mask: UInt16 = 0
    for i in 0..<10 where isReset(i) { mask |= 1 << UInt16(i) }
    return mask
  }
}
