import Ptrauth
import Trace

// What sampled key slots prove. Values are compared, never said.
extension Replayer {
  /// vcpu->arch.host_cpu_context as a handler or put saw it. Per-CPU data: it belongs to one pCPU.
  /// (At kvm_arch_vcpu_load it is still the previous load's; not looked at.)
  mutating func noteHostContext(
    _ index: Int, _ at: Moment, _ function: KernelFunction, _ pointer: UInt64
  ) {
    if pointer != 0 {
      if let cpu = vcpus[index].contextCPU, cpu != at.cpu { exercise(.staleHostContext, index) }
      vcpus[index].contextCPU = at.cpu
    }
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

  /// One context for each pCPU, and not each its own: at the end, when all were seen. The order alone may be that of
  /// nodes that lie close together, so it is told where host keys went astray too.
  mutating func judgeContextOrder() {
    guard generation?.hasHostContextPointer ?? false, !log.contains(.staleHostContext),
      log.contains(.missedHostSave),
      let (lower, higher) = hostContexts.disorder
    else { return }
    log.add(.staleHostContext, .suspected, vcpu: nil, at: higher.at) {
      (
        "the host context of pCPU \(lower.at.cpu) lies behind that of pCPU \(higher.at.cpu), though per-CPU data "
          + "of one node lies in the order of its pCPUs, and host keys were not where they were saved: each context may "
          + "be another pCPU's",
        [
          Evidence(lower.at, lower.function.rawValue, "host_ctxt of pCPU \(lower.at.cpu)"),
          Evidence(
            higher.at, higher.function.rawValue,
            "host_ctxt of pCPU \(higher.at.cpu), which is lower"),
        ].sorted { $0.moment.time < $1.moment.time }
      )
    }
  }

  /// Zeros (in a host that is a guest itself: the reset's value) are no save only of registers that hold somebody's keys
  /// wherever a vCPU's thread runs. APIA does not before a first return to EL0 on the pCPU, in a kernel from 5.13 on that
  /// uses none itself; the other four do not where all are installed at that return (5.7), and that kernel has an APIA of
  /// its own.
  func provesNoSave(_ zeros: [KeyRegister]) -> Bool {
    let isAPIA: (KeyRegister) -> Bool = { $0 == .apiaLo || $0 == .apiaHi }
    let mayHaveNoAPIA = configuration.kernelUsesPointerAuth != true
    let mayHaveOnlyAPIA =
      configuration.kernelUsesPointerAuth != false && generation?.eras.contains(.b) ?? true
    return !zeros.isEmpty
      && (!mayHaveNoAPIA || !zeros.allSatisfy(isAPIA))
      && (!mayHaveOnlyAPIA || zeros.contains(where: isAPIA))
  }

  /// The slots after an exit, before anything else could touch them.
  mutating func checkKeySlots(
    _ index: Int, _ thread: ThreadRecord, _ at: Moment, _ function: KernelFunction, _ run: OpenRun,
    _ event: borrowing Event
  ) {
    guard run.entrySample?.switchesKeys == .set, let exit = run.exit, !run.isChecked else { return }
    thread.run?.isChecked = true
    // With a stale context the slots sampled are not those that guest exit restores.
    if let host = event.hit.fields.hostKeys, let context = event.hit.fields.hostContext,
      context != 0,
      !log.hasStaleContext
    {
      // A save that turned them into zeros wrote them.
      var zeros = host.zeros
      if !zeros.isEmpty {
        if let save = thread.hostKeys.save, save.context == context {
          zeros.formIntersection(save.before.zeros)
        }
        zeros.subtract(hostContexts.written(of: context))
      }
      let unwritten = zeros.isEmpty ? [] : zeros.registers
      if provesNoSave(unwritten) {
        let isStale = run.expected == .clear && run.load != nil
        logEntered(.missedHostSave, run, cause: isStale ? .staleEnable : cause(vcpu: index)) {
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
      }
    }
    if let host = event.hit.fields.hostKeys, let guest = event.hit.fields.guestKeys {
      judgeSharedKeys(index, thread, at, function, run, guest, host)
    }
  }
}

extension KeySlots {
  /// The registers that hold nothing.
  var zeros: RegisterSet {
    var mask: UInt16 = 0
    for i in 0..<10 where isZero(i) { mask |= 1 << UInt16(i) }
    return RegisterSet(rawValue: mask)
  }

  /// Bit i set: register i still holds its reset value.
  var resetMask: UInt16 {
    var mask: UInt16 = 0
    for i in 0..<10 where isReset(i) { mask |= 1 << UInt16(i) }
    return mask
  }
}
