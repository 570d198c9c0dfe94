/// Where the hypervisor's code lies in the kernel's own text, by symbols alone.
enum HypervisorCode {
  /// Names of the tables (arch/arm64/kvm/hyp/hyp-entry.S, nvhe/host.S, kernel/hyp-stub.S), and how many tables of
  /// 16 vectors, 128 bytes apart, there are at most.
  private static let tables: [(name: String, count: UInt64)] = [
    ("__kvm_hyp_vector", 1), ("__bp_harden_hyp_vecs", 4), ("__kvm_nvhe___kvm_hyp_vector", 1),
    ("__kvm_nvhe___kvm_hyp_host_vector", 1), ("__kvm_nvhe___bp_harden_hyp_vecs", 4),
    ("__kvm_nvhe___kvm_hyp_init", 1), ("__hyp_stub_vectors", 1),
  ]

  static func vectors(of kernel: some ProbedKernel) -> [Range<UInt64>] {
    tables.flatMap { table in
      kernel.addresses(of: table.name).filter { $0 < UInt64.max - 0x4000 }.map {
        $0..<$0 + table.count * 0x800
      }
    }
  }

  /// Of arch/arm64/kvm/hyp/vhe and hyp-entry.S, which are linked one after another.
  private static let landmarks = [
    "sysreg_save_host_state_vhe", "sysreg_save_guest_state_vhe", "__debug_switch_to_guest",
    "__debug_switch_to_host", "__kvm_vcpu_run", "__kvm_vcpu_run_vhe", "kvm_vcpu_run_vhe",
    "__timer_enable_traps", "__timer_disable_traps", "__vgic_v3_save_state",
    "__vgic_v3_restore_state",
    "__guest_enter", "__guest_exit_panic", "hyp_panic", "__fpsimd_save_state", "__kvm_hyp_vector",
    "__kvm_tlb_flush_vmid", "__kvm_flush_cpu_context",
  ]
  /// Farther apart, they were laid out by something else: link time optimization.
  private static let longest: UInt64 = 128 << 10

  /// From the first to the last of the landmarks; nil where they are not near each other.
  static func worldSwitch(of kernel: some ProbedKernel) -> Range<UInt64>? {
    let places = landmarks.compactMap { name -> UInt64? in
      let addresses = kernel.addresses(of: name)
      return addresses.count == 1 ? addresses[0] : nil
    }
    guard places.count > 2, let first = places.min(), let last = places.max(),
      last - first <= longest
    else { return nil }
    return first..<last + 4
  }
}
