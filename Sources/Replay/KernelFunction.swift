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
  /// The function tracer's only: a probe on it panics the host.
  case hypHandlePtrauth = "kvm_hyp_handle_ptrauth"
}

extension KernelFunction {
  /// The vCPU's own thread alone comes there, behind an exit, the vCPU loaded.
  var isOfLoaded: Bool {
    switch self {
    case .handleExit, .injectUndefined, .handlePtrauth, .ptrauthTrap: true
    case .vcpuLoad, .vcpuPut, .vcpuRun, .flush, .sync, .resetVCPU, .hypHandlePtrauth: false
    }
  }

  /// By the name of an ELF symbol; GCC's clones (handle_exit.isra.0) are the function too.
  init?(name: String) {
    guard let plain = name.split(separator: ".", maxSplits: 1).first else { return nil }
    self.init(rawValue: String(plain))
  }

  /// By a probed place as ftrace's text names it: "kvm_arch_vcpu_load", or with "+0x4" where the
  /// probe is behind the function's first instruction.
  init?(symbol: String) {
    let parts = symbol.split(separator: "+", maxSplits: 1)
    guard let name = parts.first else { return nil }
    if parts.count == 2 {
      guard parts[1].hasPrefix("0x"), let offset = UInt64(parts[1].dropFirst(2), radix: 16),
        offset < KernelBinding.entryBytes
      else { return nil }
    }
    self.init(name: String(name))
  }
}
