import Ptrauth

/// A situation in which the fault of a rule would have shown. Judged means exercised: a rule whose evidence was recorded
/// is judged only if its situation occurred.
enum Situation: Int, CaseIterable {
  case staleEnable
  case missedHostSave
  case missedHostRestore
  case hostKeyLeak
  case missedGuestRestore
  case missedGuestSave
  case staleHostContext
  case switchWithoutFeature
  case featureDenied
  case nestedBitsDiffer
  case trapWhileEnabled
  case bitsDiffer
  case keysLostInMigration
  case preemptibleHostSave
  case unexplained

  var rule: Rule {
    switch self {
    case .staleEnable: .staleEnable
    case .missedHostSave: .missedHostSave
    case .missedHostRestore: .missedHostRestore
    case .hostKeyLeak: .hostKeyLeak
    case .missedGuestRestore: .missedGuestRestore
    case .missedGuestSave: .missedGuestSave
    case .staleHostContext: .staleHostContext
    case .switchWithoutFeature: .switchWithoutFeature
    case .featureDenied: .featureDenied
    case .nestedBitsDiffer: .nestedBitsDiffer
    case .trapWhileEnabled: .trapWhileEnabled
    case .bitsDiffer: .bitsDiffer
    case .keysLostInMigration: .keysLostInMigration
    case .preemptibleHostSave: .preemptibleHostSave
    case .unexplained: .unexplained
    }
  }

  init?(_ rule: Rule) {
    guard let found = Self.allCases.first(where: { $0.rule == rule }) else { return nil }
    self = found
  }

  /// Whether the rule's fault, if a vCPU of this kind had it, could have done harm; nil: it is not about one vCPU.
  func concerns(_ vcpu: VCPURecord) -> Bool? {
    let counters = vcpu.counters
    switch self {
    case .staleEnable: return counters.enabledRuns > 0 && counters.loads > 1
    case .missedHostSave, .missedHostRestore, .missedGuestRestore, .missedGuestSave,
      .trapWhileEnabled, .bitsDiffer, .preemptibleHostSave:
      return counters.enabledRuns > 0
    case .featureDenied:
      return vcpu.state.feature == .both
        && (counters.enabledRuns > 0 || counters.instructionTraps + counters.registerTraps > 0)
    case .hostKeyLeak: return counters.enabledRuns < counters.runs
    case .switchWithoutFeature:
      return counters.runs > 0 && (vcpu.state.feature == .none || vcpu.state.feature == .partial)
    case .nestedBitsDiffer: return counters.runs > 0 && vcpu.isNested
    case .unexplained: return counters.runs > 0
    case .staleHostContext, .keysLostInMigration: return nil
    }
  }

  /// "It did not occur that ..."
  var words: String {
    switch self {
    case .staleEnable:
      "a load found bits set, which it had to clear, and an entry followed without a trap in between"
    case .missedHostSave:
      "a host save had other keys to overwrite, and the slots were sampled before and after it"
    case .missedHostRestore:
      "the host's keys were saved again after a guest exit had restored them, with no task switch in between, and the "
        + "guest's keys known"
    case .hostKeyLeak:
      "the shadow was sampled before and after a run that began with both bits clear"
    case .missedGuestRestore:
      "all five keys of a guest came out of a run with bits set as they had gone in, the host's keys known"
    case .missedGuestSave:
      "guest exit was seen to save each of the five keys"
    case .staleHostContext:
      "a vCPU moved, and its host context was sampled on both pCPUs"
    case .switchWithoutFeature:
      "a vCPU without the feature was entered, and the shadow sampled"
    case .featureDenied:
      "a vCPU with the feature was entered with both bits set, after its trap or (6.10 on) its load"
    case .nestedBitsDiffer:
      "a nested guest was entered after its hypervisor's kvm_nested_eret, and the shadow sampled"
    case .trapWhileEnabled:
      "a guest was entered enabled right after its trap, to run the same instruction again"
    case .bitsDiffer:
      "a run was entered with a bit set"
    case .keysLostInMigration:
      "a vCPU began to run inside a guest kernel, and its slots were sampled at its first use"
    case .preemptibleHostSave:
      "the trap handler was seen to return"
    case .unexplained:
      "the shadow was sampled where all that came before left one value possible"
    }
  }

  var remedy: String {
    switch self {
    case .staleEnable:
      "record guests that use pointer authentication, for longer, with all probes"
    case .missedHostSave:
      "record sched:sched_switch and kvm:kvm_userspace_exit, and probe kvm_arm_vcpu_ptrauth_trap and "
        + "handle_exit with host_ctxt and the host's ten key slots, while VMMs of several processes run"
    case .missedHostRestore:
      "probe kvm_arm_vcpu_ptrauth_trap, handle_exit and kvm_arch_vcpu_put with the ten key slots, for "
        + "longer"
    case .hostKeyLeak:
      "probe kvm_vgic_flush_hwstate and kvm_vgic_sync_hwstate with vcpu and hcr_el2"
    case .missedGuestRestore:
      "probe kvm_arm_vcpu_ptrauth_trap, handle_exit and kvm_arch_vcpu_put with the twenty key slots, with "
        + "guests that set five keys and use them for a while"
    case .missedGuestSave:
      "record a guest that writes all five keys, with the guest's ten key slots in handle_exit"
    case .staleHostContext:
      "record vCPUs that move between pCPUs, with host_ctxt in handle_exit and kvm_arch_vcpu_put"
    case .switchWithoutFeature:
      "record a guest that uses pointer authentication on a vCPU without it"
    case .featureDenied:
      "probe the trap handler and kvm_vgic_flush_hwstate with hcr_el2, with guests that use pointer "
        + "authentication"
    case .nestedBitsDiffer:
      "record guest hypervisors that return to their guests, with kvm_vgic_flush_hwstate probed"
    case .trapWhileEnabled:
      "record guests that use pointer authentication"
    case .bitsDiffer:
      "record guests that use pointer authentication"
    case .keysLostInMigration:
      "record a guest that arrives by migration, from its kvm_reset_vcpu on"
    case .preemptibleHostSave:
      "record guests that use pointer authentication"
    case .unexplained:
      "probe kvm_arch_vcpu_load, kvm_vgic_flush_hwstate and kvm_vgic_sync_hwstate with vcpu, features and hcr_el2"
    }
  }
}
