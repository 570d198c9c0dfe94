/// The kernel functions whose probes the replay understands, by symbol.
public enum KernelFunction: String, Sendable, Hashable, CaseIterable {
  case vcpuLoad = "kvm_arch_vcpu_load"
  case vcpuPut = "kvm_arch_vcpu_put"
  case handleExit = "handle_exit"
  case vcpuRun = "__kvm_vcpu_run"
  case flush = "kvm_vgic_flush_hwstate"
  case sync = "kvm_vgic_sync_hwstate"
  case resetVCPU = "kvm_reset_vcpu"
  case injectUndefined = "kvm_inject_undefined"
  case handlePtrauth = "kvm_handle_ptrauth"
  case ptrauthTrap = "kvm_arm_vcpu_ptrauth_trap"
}
