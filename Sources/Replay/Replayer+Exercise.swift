import Ptrauth

// Judged means exercised: a rule whose evidence was recorded is judged only if a situation occurred in which its
// fault would have shown.
extension Replayer {
  /// What did not occur. Nil: it did, or it takes none (the fault is an event of its own).
  func unexercised(_ rule: Rule) -> Obstacle? {
    if undecided.contains(rule), !log.contains(rule) {
      return .notRecorded(
        reason: "what looked like it may have another reason, where its thread ran unrecorded",
        remedy: "record all pCPUs and tasks (-a)")
    }
    guard let (situation, remedy) = Self.situations[rule.id], exercised[rule] == 0,
      !log.contains(rule)
    else { return nil }
    return .notRecorded(reason: "it did not occur that " + situation, remedy: remedy)
  }

  private static let situations: [String: (situation: String, remedy: String)] = [
    Rule.staleEnable.id: (
      "a load found bits set, which it had to clear, and an entry followed without a trap in between",
      "record guests that use pointer authentication, for longer, with all probes"
    ),
    Rule.missedHostSave.id: (
      "a host save had other keys to overwrite, and the slots were sampled before and after it",
      "record sched:sched_switch and kvm:kvm_userspace_exit, and probe kvm_arm_vcpu_ptrauth_trap and handle_exit "
        + "with host_ctxt and the host's ten key slots, while VMMs of several processes run"
    ),
    Rule.missedHostRestore.id: (
      "a thread whose keys were known saved them again after a guest exit had restored them",
      "probe kvm_arm_vcpu_ptrauth_trap, handle_exit and kvm_arch_vcpu_put with the ten key slots, for longer"
    ),
    Rule.hostKeyLeak.id: (
      "the shadow was sampled before and after a run that began with both bits clear",
      "probe kvm_vgic_flush_hwstate and kvm_vgic_sync_hwstate with vcpu and hcr_el2"
    ),
    Rule.missedGuestRestore.id: (
      "all five keys of a guest came out of a run with bits set as they had gone in, the host's keys known",
      "probe kvm_arm_vcpu_ptrauth_trap, handle_exit and kvm_arch_vcpu_put with the twenty key slots, with guests "
        + "that set five keys and use them for a while"
    ),
    Rule.missedGuestSave.id: (
      "guest exit was seen to save each of the five keys",
      "record a guest that writes all five keys, with the guest's ten key slots in handle_exit"
    ),
    Rule.staleHostContext.id: (
      "a vCPU moved, and its host context was sampled on both pCPUs",
      "record vCPUs that move between pCPUs, with host_ctxt in handle_exit and kvm_arch_vcpu_put"
    ),
    Rule.switchWithoutFeature.id: (
      "a vCPU without the feature was entered, and the shadow sampled",
      "record a guest that uses pointer authentication on a vCPU without it"
    ),
    Rule.featureDenied.id: (
      "a vCPU with the feature was entered with both bits set, after its trap or (6.10 on) its load",
      "probe the trap handler and kvm_vgic_flush_hwstate with hcr_el2, with guests that use pointer authentication"
    ),
    Rule.nestedBitsDiffer.id: (
      "a nested guest was entered after its hypervisor's kvm_nested_eret, and the shadow sampled",
      "record guest hypervisors that return to their guests, with kvm_vgic_flush_hwstate probed"
    ),
    Rule.trapWhileEnabled.id: (
      "a guest was entered enabled right after its trap, to run the same instruction again",
      "record guests that use pointer authentication"
    ),
    Rule.bitsDiffer.id: (
      "a run was entered with a bit set", "record guests that use pointer authentication"
    ),
    Rule.keysLostInMigration.id: (
      "a vCPU began to run inside a guest kernel, and its slots were sampled at its first use",
      "record a guest that arrives by migration, from its kvm_reset_vcpu on"
    ),
    Rule.preemptibleHostSave.id: (
      "the trap handler was seen to return", "record guests that use pointer authentication"
    ),
  ]

  /// What one complete run shows, whatever it is.
  mutating func noteExercise(_ run: OpenRun) {
    guard run.exit != nil else { return }
    let feature = vcpus[run.vcpu].state.feature
    if let sample = run.entrySample, sample.isKnown {
      if sample.switchesKeys == .set {
        exercised.note(.bitsDiffer)
        if run.isRetry, run.certainlyEntered { exercised.note(.trapWhileEnabled) }
        if generation.map({ $0.trap != .reachesHost }) ?? false, feature == .both {
          exercised.note(.featureDenied)
        }
      }
      if run.exitIsAtSync, run.exitSample?.isKnown ?? false, run.certainlyEntered,
        sample.switchesKeys == .clear
      {
        exercised.note(.hostKeyLeak)
      }
      if feature == .none || feature == .partial { exercised.note(.switchWithoutFeature) }
    }
    let bits = run.entrySample ?? run.exitSample ?? .unknown
    if bits.switchesKeys != .clear { vcpus[run.vcpu].isUnused = false }
  }
}
