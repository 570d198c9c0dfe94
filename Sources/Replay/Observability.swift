public import Ptrauth

// Which rules this recording can show, per generation and probe. "Not observable" is never
// "no violation".
extension Analysis {
  /// The rules that a replay judges.
  public static let judgedRules: [Rule] = [
    .missedHostSave, .staleEnable, .missedGuestRestore, .staleHostContext, .missedGuestSave,
    .switchWithoutFeature, .trapWhileEnabled, .bitsDiffer, .redundantSwitch, .redundantHostSave,
    .lazyThrash,
  ]
}

extension Replayer {
  func notObservable() -> [Analysis.NotObservable] {
    Analysis.judgedRules.compactMap { rule in
      guard let (reason, remedy) = obstacle(to: rule) else { return nil }
      return Analysis.NotObservable(rule: rule, reason: reason, remedy: remedy)
    }
  }

  private var samplesEntry: Bool {
    capabilities.samplesShadow
      && !probesHit.isDisjoint(with: [.flush, .vcpuRun, .sync, .handleExit])
  }

  private func obstacle(to rule: Rule) -> (String, String)? {
    guard let generation else {
      return rule == .bitsDiffer && samplesEntry
        ? nil : ("the kernel's generation is not known", "pass -k vmlinux or --generation")
    }
    let shadow = (
      "API and APK are not sampled: a tracepoint shows that the guest tried, not what it got",
      "probe kvm_vgic_flush_hwstate and kvm_vgic_sync_hwstate with vcpu and hcr_el2"
    )
    let slots = "probe kvm_arch_vcpu_put and handle_exit with the ten key slots"
    switch rule {
    case .staleEnable:
      if configuration.generationIsWeak {
        return ("the generation is only guessed from the release", "pass -k vmlinux")
      }
      if generation.load != .clears {
        return ("\(generation.name) sets both bits at every load by design", "nothing to see")
      }
      if !samplesEntry { return shadow }
      if !capabilities.samplesFeatures { return noFeature }
      return probesHit.contains(.vcpuLoad)
        ? nil : ("kvm_arch_vcpu_load is not probed", "probe kvm_arch_vcpu_load with vcpu and cpu")
    case .missedHostSave:
      if !samplesEntry { return shadow }
      guard capabilities.samplesHostKeys else {
        return (
          generation.hasHostContextPointer
            ? "the host's key slots are not sampled"
            : "\(generation.name) keeps the host's key slots in per-CPU data that no probe sampled",
          generation.hasHostContextPointer
            ? slots + " of host_cpu_context" : "audit the vmlinux: the save is in its code"
        )
      }
      return nil
    case .missedGuestSave:
      if generation.trap != .reachesHost {
        return (
          "\(generation.name) shows no trapped key write of a vCPU with the feature",
          "audit the vmlinux: the save is in its code"
        )
      }
      if !samplesEntry { return shadow }
      if !capabilities.samplesFeatures { return noFeature }
      if !capabilities.samplesGuestKeys { return ("the guest's key slots are not sampled", slots) }
      return nil
    case .missedGuestRestore:
      if !samplesEntry { return shadow }
      if !capabilities.samplesGuestKeys || !capabilities.samplesHostKeys {
        return ("guest and host key slots are not both sampled", slots + " of guest and host")
      }
      return nil
    case .staleHostContext:
      if !generation.hasHostContextPointer {
        return ("\(generation.name) has no vcpu->arch.host_cpu_context", "nothing to see")
      }
      return capabilities.samplesHostContext
        ? nil
        : ("host_cpu_context is not sampled", "probe kvm_arch_vcpu_put with vcpu and host_ctxt")
    case .switchWithoutFeature:
      if !samplesEntry { return shadow }
      return capabilities.samplesFeatures ? nil : noFeature
    case .trapWhileEnabled, .bitsDiffer: return samplesEntry ? nil : shadow
    case .redundantSwitch, .redundantHostSave, .lazyThrash:
      if rule == .lazyThrash, generation.trap == .never {
        return ("\(generation.name) does not trap", "nothing to see")
      }
      // A trap that the function tracer shows proves the feature too, and the bits behind it.
      if rule != .redundantHostSave, probesHit.contains(.hypHandlePtrauth), seesLoads { return nil }
      if !samplesEntry { return shadow }
      return capabilities.samplesFeatures || rule == .redundantSwitch ? nil : noFeature
    default: return nil
    }
  }

  private var noFeature: (String, String) {
    ("whether the vCPU has the feature is not sampled", "add features to the probes")
  }
}
