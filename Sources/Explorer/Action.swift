/// One thing that can happen next: an edge of the explored graph. `cpu` is the pCPU it happens on.
public enum Action: Sendable, Hashable {
  /// The scheduler puts another task (-1: the idle task) on the pCPU.
  case switchTask(cpu: Int, to: Int)
  /// Userspace calls KVM_RUN: vcpu_load.
  case run(cpu: Int)
  /// Userspace calls KVM_ARM_VCPU_INIT: kvm_reset_vcpu of a vCPU that is not loaded.
  case initialize(cpu: Int)
  /// Userspace reads a key register by KVM_GET_ONE_REG.
  case readOneReg(cpu: Int)
  /// The guest is entered. `twist`: where a fault strikes now and then, it strikes.
  case enter(cpu: Int, twist: Bool)
  /// The guest uses pointer authentication and is not trapped.
  case use(cpu: Int, Use)
  /// It is trapped. `isServed` is false where an SError is pending: handle_exit ignores the trap.
  case trap(cpu: Int, Use, isServed: Bool)
  /// The guest reads ID_AA64ISAR1_EL1, which always traps.
  case readIDRegister(cpu: Int)
  /// A physical interrupt ends the pass.
  case interrupt(cpu: Int)
  /// The host's trap handler does its next line.
  case handle(cpu: Int)
  /// Another vCPU powers this one on (PSCI CPU_ON): kvm_reset_vcpu while loaded.
  case reset(cpu: Int)
  /// KVM_RUN returns to userspace: vcpu_put.
  case leave(cpu: Int)
  /// The guest hypervisor enters its guest with these bits (0 to 3: API * 2 + APK), or -1: an exit to it.
  case nest(cpu: Int, bits: Int)

  public enum Use: Sendable, Hashable {
    /// A PAC or AUT instruction.
    case instruction
    /// MSR to a key register. (MRS traps and is served alike.)
    case writeKey
  }

  public var cpu: Int {
    switch self {
    case .switchTask(let cpu, _), .run(let cpu), .initialize(let cpu), .readOneReg(let cpu),
      .enter(let cpu, _), .use(let cpu, _), .trap(let cpu, _, _), .readIDRegister(let cpu),
      .interrupt(let cpu), .handle(let cpu), .reset(let cpu), .leave(let cpu), .nest(let cpu, _):
      cpu
    }
  }
}
