public import Ptrauth

extension Analysis {
  /// The rules that a replay judges, and those that only the code shows and that make a kernel wrong.
  public static let judgedRules = Rule.all.filter {
    $0.isJudged(by: .events) || $0.isJudged(by: .audit) && $0.decidesVerdict
  }

  /// The correctness rules that this recording shows, of those that were chosen.
  public var judged: [Rule] { judged(except: notObservable) }

  /// Those that this kernel and its guests can break.
  public var breakable: [Rule] { judged(except: notObservable.filter { !$0.applies }) }

  private func judged(except hidden: [NotObservable]) -> [Rule] {
    rulesOfVerdict.filter { rule in !hidden.contains { $0.rule == rule } }
  }
}

// Which rules this recording can show, per generation and probe. "Not observable" is never
// "no violation".
extension Replayer {
  func notObservable() -> [Analysis.NotObservable] {
    hidden(rules: Analysis.judgedRules) + beyondEvents
  }

  /// What no event can show, whatever is recorded.
  private var beyondEvents: [Analysis.NotObservable] {
    guard let generation, generation.guardReads != .none else { return [] }
    var beyond: [Analysis.NotObservable] = []
    if generation.guardReads == .shadow {
      beyond.append(
        Analysis.NotObservable(
          rule: .shadowNotLive,
          reason:
            "HCR_EL2 itself is in no event: where it has API or APK and the shadow has not, the guest runs on the "
            + "host's keys without a trap",
          remedy: "audit the vmlinux, and look at every write of HCR_EL2"))
    }
    beyond.append(
      Analysis.NotObservable(
        rule: .guardCost,
        reason:
          "whether a pass switched keys is in no event: a guard that is always true costs 30 register accesses a "
          + "pass",
        remedy: "audit the vmlinux: the guards of __guest_enter and __guest_exit"))
    return beyond
  }

  private func hidden(rules: [Rule]) -> [Analysis.NotObservable] {
    rules.compactMap { rule in
      switch obstacle(to: rule) {
      case nil: nil
      case .cannotHappen(let reason): .cannotHappen(rule, reason)
      case .notRecorded(let reason, let remedy):
        Analysis.NotObservable(rule: rule, reason: reason, remedy: remedy)
      case .onlyInCode(let reason):
        Analysis.NotObservable(
          rule: rule, reason: reason, remedy: "audit the vmlinux: it is in its code", isInCode: true
        )
      }
    }
  }

  private func obstacle(to rule: Rule) -> Obstacle? {
    guard let generation else {
      return rule == .bitsDiffer && samplesEntry
        ? nil
        : .notRecorded(
          reason: "the kernel's generation is not known", remedy: "pass -k vmlinux or --generation")
    }
    if let reason = impossibility(of: rule, in: generation) {
      return configuration.generationIsWeak ? isGuess : .cannotHappen(reason)
    }
    if let thinning, !admits(rule) { return thinning }
    let obstacle = rule.isCorrectness ? hidden(rule, generation) : hiddenCost(rule, generation)
    // What is sampled under a name that nobody can read is not "not sampled".
    if capabilities.hasUnnamedProbes, case .notRecorded(_, let remedy)? = obstacle,
      remedy.contains("probe")
    {
      return .notRecorded(
        reason: "its probes cannot be named without the kernel's vmlinux",
        remedy: "pass it with -k vmlinux")
    }
    return obstacle ?? (rule.isCorrectness ? unexercised(rule) : nil)
  }

  var isGuess: Obstacle {
    .notRecorded(
      reason: "the generation is only guessed from the release", remedy: "pass -k vmlinux")
  }

  /// Why no kernel of this generation can break the rule.
  func impossibility(of rule: Rule, in generation: Generation) -> String? {
    let name = generation.name
    switch rule {
    case .partialKeySet where generation.hostSave == .never,
      .missingISB where generation.hostSave == .never:
      return "\(name) switches no keys"
    case .el2KeysMixed where !generation.supportsNVHE:
      return "EL2 of \(name) has no keys of its own"
    case .staleEnable where generation.load != .clears:
      return "\(name) sets both bits at every load by design"
    case .staleHostContext where !generation.hasHostContextPointer:
      return "\(name) has no vcpu->arch.host_cpu_context"
    case .missedHostRestore where generation.guardReads != .shadow,
      .hostKeyLeak where generation.guardReads != .shadow:
      return "the guards of \(name) read HCR_EL2 itself, which only EL2 writes"
    case .hostKeyLeak where generation.trap == .handledAtHyp:
      return "in \(name) the bits may be set between guest entry and exit, by the early trap"
    case .preemptibleHostSave where generation.hostSave != .preemptibleTrap,
      .wastedTrap where generation.trap != .reachesHost:
      return generation.trap == .reachesHost
        ? "\(name) saves the host's keys at load, not in the trap handler"
        : "no ptrauth trap of \(name) is answered while preemption is enabled"
    case .nestedBitsDiffer where generation.nestedBits != .fromGuest:
      return "\(name) runs no nested guests"
    case .switchWithoutFeature where allHaveTheFeature && !log.contains(.switchWithoutFeature),
      .undefStorm where allHaveTheFeature:
      return "every vCPU that was seen has both ptrauth features"
    case .nestedBitsDiffer where !vcpus.contains(where: \.isNested):
      return "no vCPU was seen that can run nested guests"
    case .lazyThrash where generation.trap == .never: return "\(name) does not trap"
    case .earlyClear where generation.load != .clears: return "\(name) clears nothing at load"
    case .featureDenied where generation.featureTest != .bothBits:
      return "\(name) does not ask for the features of a vCPU"
    case .shortLoad where generation.hostSave != .everyLoad,
      .eagerUnused where generation.hostSave != .everyLoad:
      return "\(name) saves nothing at load"
    case .fastReentry where generation.trap == .reachesHost:
      return "ptrauth traps of \(name) return to the host"
    default: return nil
    }
  }

  private var allHaveTheFeature: Bool {
    !vcpus.isEmpty && vcpus.allSatisfy { $0.state.feature == .both }
  }

  private func hidden(_ rule: Rule, _ generation: Generation) -> Obstacle? {
    let slots = "probe kvm_arch_vcpu_put and handle_exit with the ten key slots"
    func missing(_ reason: String, _ remedy: String) -> Obstacle {
      .notRecorded(reason: reason, remedy: remedy)
    }
    switch rule {
    case .staleEnable:
      if configuration.generationIsWeak { return isGuess }
      if !samplesEntry { return noShadow }
      if !capabilities.samplesFeatures { return noFeature }
      return probesHit.contains(.vcpuLoad)
        ? nil
        : missing("kvm_arch_vcpu_load is not probed", "probe kvm_arch_vcpu_load with vcpu and cpu")
    case .callOutOfHyp: return .onlyInCode("no event shows where EL2's code branches")
    case .partialKeySet, .missingISB, .el2KeysMixed:
      return .onlyInCode("no event shows which registers an instruction touched")
    case .missedHostSave, .missedGuestRestore:
      if !generation.hasHostContextPointer, !capabilities.samplesHostKeys {
        if configuration.generationIsWeak { return isGuess }
        return .onlyInCode(
          "\(generation.name) keeps the host's key slots in per-CPU data that no probe sampled")
      }
      if !samplesEntry { return noShadow }
      if !capabilities.samplesHostKeys, rule == .missedHostSave {
        return missing("the host's key slots are not sampled", slots + " of host_cpu_context")
      }
      return rule == .missedHostSave
        || capabilities.samplesGuestKeys && capabilities.samplesHostKeys
        ? nil
        : missing("guest and host key slots are not both sampled", slots + " of guest and host")
    case .missedGuestSave:
      if generation.trap != .reachesHost {
        if configuration.generationIsWeak { return isGuess }
        return .onlyInCode(
          "\(generation.name) shows no trapped key write of a vCPU with the feature")
      }
      if !samplesEntry { return noShadow }
      if !capabilities.samplesFeatures { return noFeature }
      return capabilities.samplesGuestKeys
        ? nil : missing("the guest's key slots are not sampled", slots)
    case .missedHostRestore, .hostKeyLeak:
      if configuration.generationIsWeak { return isGuess }
      let before = !probesHit.isDisjoint(with: [.flush, .vcpuRun])
      return capabilities.samplesShadow && before && probesHit.contains(.sync)
        ? nil : noShadow
    case .staleHostContext:
      return capabilities.samplesHostContext
        ? nil
        : missing(
          "host_cpu_context is not sampled", "probe kvm_arch_vcpu_put with vcpu and host_ctxt")
    case .preemptibleHostSave:
      if configuration.generationIsWeak { return isGuess }
      if !vcpus.isEmpty, vcpus.allSatisfy({ $0.pid < 0 }) {
        return missing(
          "which processes its threads belong to is not recorded",
          "record with perf, or probe kvm_arch_vcpu_load with mm and userspace_pid")
      }
      return returnsHit.contains(.ptrauthTrap)
        && probesHit.isSuperset(of: [.ptrauthTrap, .vcpuLoad])
        && capabilities.hasSchedSwitch && capabilities.samplesShadow && capabilities.samplesFeatures
        ? nil
        : missing(
          "whether the trap handler was preempted inside its save does not show without its return",
          "probe kvm_arm_vcpu_ptrauth_trap at its return too (r:), kvm_arch_vcpu_load with hcr_el2, and "
            + "record sched:sched_switch")
    case .unexplained:
      if configuration.generationIsWeak { return isGuess }
      if !capabilities.hasEntryAndExit {
        return missing(
          "kvm_entry and kvm_exit are not both recorded", "record both (kvm:*)")
      }
      if leavesOutTasks {
        return missing(
          "only some tasks were recorded, and others may have loaded a vCPU",
          "record all tasks (-a)")
      }
      if !missingParts.isEmpty {
        return missing(
          "not all that happened was recorded", "record all pCPUs and tasks (-a), and every event")
      }
      return samplesEntry ? nil : noShadow
    case .switchWithoutFeature:
      if !samplesEntry { return noShadow }
      return capabilities.samplesFeatures ? nil : noFeature
    case .bitsDiffer where generation.nestedBits == .fromGuest && !capabilities.samplesFeatures:
      return samplesEntry ? noFeature : noShadow
    case .trapWhileEnabled
    where generation.trap != .reachesHost && configuration.generationIsWeak:
      return isGuess
    case .trapWhileEnabled where generation.trap == .never:
      return missing(
        "\(generation.name) does not trap: whether the guest used ptrauth is in no event",
        "audit the vmlinux: __activate_traps")
    case .trapWhileEnabled where generation.trap == .handledAtHyp:
      return missing(
        "\(generation.name) answers these traps at EL2, without an event",
        "audit the vmlinux: __activate_traps")
    case .trapWhileEnabled, .bitsDiffer: return samplesEntry ? nil : noShadow
    case .featureDenied:
      if configuration.generationIsWeak { return isGuess }
      if generation.trap == .handledAtHyp, !probesHit.contains(.injectUndefined) {
        return missing(
          "\(generation.name) answers these traps at EL2, without an event",
          "probe kvm_inject_undefined: an UNDEF of a vCPU with the feature shows there")
      }
      if !capabilities.samplesFeatures { return noFeature }
      return samplesEntry ? nil : noShadow
    case .oneFeatureOnly:
      return probesHit.isSuperset(of: [.resetVCPU, .vcpuLoad, .vcpuPut])
        || generation.resetCheck == .returnsEarly && capabilities.samplesFeatures
          && probesHit.contains(.resetVCPU)
        ? nil
        : missing(
          "no vCPU reset was seen among loads",
          "probe kvm_reset_vcpu with vcpu and features, and kvm_arch_vcpu_load and put")
    case .keysLostInMigration:
      if generation.trap != .reachesHost {
        if configuration.generationIsWeak { return isGuess }
        return missing(
          "\(generation.name) shows no first use of a vCPU with the feature",
          "compare the VMM's list of registers with KVM_GET_REG_LIST")
      }
      if !capabilities.samplesFeatures { return noFeature }
      return capabilities.samplesGuestKeys && probesHit.isSuperset(of: [.resetVCPU, .handleExit])
        ? nil
        : missing(
          "the guest's key slots at a vCPU's first use after its reset are not sampled",
          "probe kvm_reset_vcpu, and handle_exit with the guest's ten key slots")
    case .nestedBitsDiffer:
      if configuration.generationIsWeak { return isGuess }
      if !samplesEntry { return noShadow }
      return capabilities.hasNestedEvents
        ? nil
        : missing(
          "what the guest hypervisor gives its guest is not recorded",
          "record kvm:kvm_nested_eret and kvm:kvm_inject_nested_exception")
    default: return nil
    }
  }

  var samplesEntry: Bool {
    capabilities.samplesShadow
      && !probesHit.isDisjoint(with: [.flush, .vcpuRun, .sync, .handleExit])
  }

  var noShadow: Obstacle {
    .notRecorded(
      reason:
        "API and APK are not sampled: a tracepoint shows that the guest tried, not what it got",
      remedy: "probe kvm_vgic_flush_hwstate and kvm_vgic_sync_hwstate with vcpu and hcr_el2")
  }

  var noFeature: Obstacle {
    .notRecorded(
      reason: "whether the vCPU has the feature is not sampled",
      remedy: "add features to the probes")
  }
}
