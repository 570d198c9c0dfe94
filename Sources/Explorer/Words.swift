public import Ptrauth

// A course in the field's own terms.
extension Course {
  /// A line of the printed trace.
  public struct Line: Sendable, Hashable {
    public var cpu: Int
    /// "vcpu0" for the thread of vCPU 0, "task0", "idle".
    public var task: String
    public var event: String
    public var detail: String
    public var broken: [Invariant]
  }

  public var lines: [Line] {
    happenings.map { happening in
      let (event, detail) = setting.words(happening)
      return Line(
        cpu: happening.cpu, task: setting.name(happening.task), event: event, detail: detail,
        broken: happening.broken)
    }
  }
}

extension Setting {
  func name(_ task: Int) -> String {
    task < 0 ? "idle" : task < features.count ? "vcpu\(task)" : "task\(task - features.count)"
  }

  /// Whose keys, in words. Never which.
  func words(_ keys: KeyOwner) -> String {
    switch keys {
    case .unwritten: "nobody's"
    case .host(let process):
      isOneVMM && process == 0 ? "the VMM's" : "\(name(Int(process)))'s user keys"
    case .kernel(let task): "\(name(Int(task)))'s kernel APIA"
    case .guest(let vcpu): "guest \(vcpu)'s"
    case .oldGuest(let vcpu): "guest \(vcpu)'s old ones"
    case .unknown: "unknown"
    }
  }

  func words(_ happening: Happening) -> (event: String, detail: String) {
    let after = happening.after
    let bits = "API=\(after.bits.api.value ?? 0) APK=\(after.bits.apk.value ?? 0)"
    switch happening.kind {
    case .schedSwitch(let next): return ("sched_switch", "==> \(name(next))")
    case .load: return ("kvm_arch_vcpu_load", "\(bits), host slots hold \(words(after.hostSlots))")
    case .put: return ("kvm_arch_vcpu_put", "")
    case .resetVCPU:
      return (
        "kvm_reset_vcpu", after.isLoaded == happening.before.isLoaded ? "" : "not loaded again"
      )
    case .getOneReg: return ("KVM_GET_ONE_REG", "a key register")
    case .entry:
      let keys = after.hasSwitched ? "keys switched" : "keys not switched"
      return ("kvm_entry", "\(bits), \(keys): registers hold \(words(after.live))")
    case .guestUse(.instruction): return ("guest", "PAC instruction, not trapped")
    case .guestUse(.writeKey): return ("guest", "MSR of a key register, not trapped")
    case .exit(let exit):
      return ("kvm_exit", "\(words(exit)); registers hold \(words(after.live))")
    case .hypTrap(let use):
      return ("(EL2) trap", "\(words(use)), handled without an exit: \(bits)")
    case .handler(let step, _): return ("trap handler", words(step, after, bits))
    case .userspaceExit:
      return ("kvm_userspace_exit", "EL0 runs on \(words(after.live))")
    case .nested(let bits?):
      return ("kvm_nested_eret", "L1 gives API=\(bits.api.value ?? 0) APK=\(bits.apk.value ?? 0)")
    case .nested(nil): return ("kvm_inject_nested", "back to L1")
    }
  }

  private func words(_ use: Action.Use) -> String {
    use == .instruction ? "TRAP EC 0x09 (PAC)" : "TRAP EC 0x18 (MSR of a key register)"
  }

  private func words(_ exit: Happening.Exit) -> String {
    switch exit {
    case .trap(let use, let isServed):
      words(use) + (isServed ? "" : " with an SError pending: not handled")
    case .idRegister: "TRAP EC 0x18 (MRS ID_AA64ISAR1_EL1)"
    case .interrupt: "IRQ"
    }
  }

  private func words(_ step: Ptrauth.Step, _ after: Happening.Snapshot, _ bits: String) -> String {
    switch step {
    case .enable: "sets the shadow: \(bits)"
    case .readHostContext: "reads host_cpu_context: pCPU \(after.hostContext ?? -1)'s"
    case .readOwnContext: "takes this pCPU's context"
    case .saveHost: "saves the host's keys: \(words(after.live))"
    case .injectUndefined: "injects an UNDEF"
    case .injectNested: "gives the trap to L1"
    default: "\(step)"
    }
  }
}
