// API and APK: set and cleared when the generation says so, both at once, for whom it says so.
extension Rule {
  public static let staleEnable = Rule(
    id: "stale-enable", title: "API/APK still set after kvm_arch_vcpu_load",
    severity: .critical, isCorrectness: true,
    definition:
      "After kvm_arch_vcpu_load of a vCPU with ptrauth the shadow has API or APK set, in a "
      + "generation that clears both there (up to 6.9), and no trap since set them.",
    consequence: "the guest runs on without a trap, so the host keys are not saved on this pCPU "
      + "and guest exit restores whatever the slots hold",
    proofs: [
      .events(
        "proved if the shadow is sampled set at an entry with a load before it, no trap since, and "
          + "no handler that may have been under way over the load"),
      .audit("kvm_arch_vcpu_load does not clear the bits"),
      .model("explored: the bits after every load"),
    ],
    history: [
      .v7("kvm_arm_vcpu_ptrauth_setup_lazy is the last statement of kvm_arch_vcpu_load"),
      .noTrap("sets both bits at load instead: there it is no fault"),
    ],
    lookAt: "the disable at the end of kvm_arch_vcpu_load (v7: kvm_arm_vcpu_ptrauth_setup_lazy)",
    symbols: ["kvm_arm_vcpu_ptrauth_setup_lazy", "kvm_arch_vcpu_load"],
    diagram: """
      vCPU thread                 shadow       host slots of the pCPU
      trap: enable, host save     API=APK=1    mine
      kvm_arch_vcpu_put           API=APK=1    mine
        (another vCPU runs here)               another's
      kvm_arch_vcpu_load          API=APK=1    another's  <-- not cleared
      __guest_enter: no trap, so no save       another's
      """)

  public static let featureDenied = Rule(
    id: "feature-denied", title: "vCPU with ptrauth is refused what it has",
    severity: .high, isCorrectness: true,
    definition:
      "A vCPU that was given both ptrauth features takes a ptrauth trap, and it is answered with an "
      + "UNDEF instead of the enable.",
    consequence:
      "the guest sees pointer authentication in its ID registers and dies of an undefined instruction",
    proofs: [
      .events(
        "proved if kvm_inject_undefined is entered while the trap of a vCPU is handled whose sampled features hold "
          + "both ptrauth bits, or if such a vCPU traps where every load sets both bits (6.10 on), at an entry that was "
          + "not sampled set; suspected if the entry behind a handled trap is as disabled as before, and the guest came "
          + "to be behind the instruction"),
      .audit("a handler of ptrauth traps that says it did not handle one, or steps over it"),
    ],
    history: [
      .v7("vcpu_has_ptrauth of the vCPU itself decides between enable and UNDEF"),
      Source("c5c176359666", "6.14: the features are the VM's"),
    ],
    lookAt: "the feature test in front of the enable: whose features it reads",
    symbols: ["kvm_arm_vcpu_ptrauth_trap", "kvm_handle_ptrauth", "kvm_hyp_handle_ptrauth"],
    diagram: """
      vCPU with both features            vCPU 0, without
      guest: paciasp
      kvm_exit EC 0x09
        handler: has ptrauth?  <-------  asks vCPU 0: no
        kvm_inject_undefined
      guest: undefined instruction
      """)

  public static let switchWithoutFeature = Rule(
    id: "switch-without-feature", title: "ptrauth enabled for a vCPU without the feature",
    severity: .high, isCorrectness: true,
    definition: "A vCPU that was not given both ptrauth features is entered with API or APK set.",
    consequence: "the guest uses what it was told it does not have, and no load clears the "
      + "bits, so host slots go stale",
    proofs: [
      .events(
        "proved if the shadow is sampled set at an entry of a vCPU whose sampled features lack a "
          + "ptrauth bit"),
      .model("explored: a trap of a vCPU without the feature"),
    ],
    history: [
      Source(
        "20190501161008.31498-1-kristina.martsenko@arm.com",
        "as merged, the ID registers showed ptrauth to vCPUs without it"),
      Source(
        "20200604133354.1279412-4-maz@kernel.org",
        "a proposal to clear SCTLR_EL1's enables for such guests, dropped "
          + "(8c340ebe6be5d9c866c24ad55ed0a841@kernel.org)"),
    ],
    lookAt: "vcpu_has_ptrauth() in the trap handler and at load",
    symbols: ["kvm_arm_vcpu_ptrauth_trap", "kvm_hyp_handle_ptrauth", "kvm_arch_vcpu_load"],
    diagram: """
      vCPU without ptrauth        shadow
      guest: paciasp, traps       0
      handler: no feature test    API=APK=1    <-- expected: UNDEF
      kvm_arch_vcpu_load          API=APK=1    (clears only with ptrauth)
      __guest_enter on stale host slots
      """)

  public static let trapWhileEnabled = Rule(
    id: "trap-while-enabled", title: "ptrauth trap while ptrauth was enabled",
    severity: .medium, isCorrectness: true,
    definition:
      "The guest takes a trap that needs API=0 (EC 0x09) or APK=0 (a key register), in a run "
      + "that by the shadow, or by this generation's rules, was entered with that bit set.",
    consequence: "HCR_EL2 in the CPU is not what the shadow says: keys were switched for a guest "
      + "that may not use them",
    proofs: [
      .events(
        "proved if the shadow was sampled set at that entry; suspected if only an answered trap of the same load interval "
          + "says so, since a trap with an SError pending is not answered"),
      .model("explored: the CPU's HCR_EL2 against the shadow"),
    ],
    history: [.noTrap("kvm_handle_ptrauth warns if it is reached by a vCPU with the feature")],
    lookAt: "the writes of HCR_EL2 on the way into the guest (__activate_traps)",
    symbols: ["__activate_traps", "__kvm_vcpu_run_vhe", "__kvm_vcpu_run"],
    diagram: """
      vCPU thread              shadow       HCR_EL2
      trap: enable             API=APK=1
      on the way to the guest  API=APK=1    0    <-- bits lost
      guest: paciasp           API=APK=1    traps again
      """)

  public static let unexplained = Rule(
    id: "unexplained", title: "events that no run of this kernel's code makes",
    severity: .critical, isCorrectness: true,
    definition:
      "The shadow was sampled with a value that the generation's own code cannot have left there, by all that was seen "
      + "of the vCPU before, and no other rule tells why.",
    consequence:
      "something changes API or APK that is not part of the scheme: every other verdict rests on the scheme",
    proofs: [
      .events(
        "suspected: of all that the code leaves possible behind the vCPU's events nothing is left; it names "
          + "the known faults under which they could have happened, if there are any. Probes that fetch another "
          + "word look alike")
    ],
    history: [
      Source(
        "https://doi.org/10.1109/9.412626",
        "Sampath et al. 1995: telling faults by following all that is possible")
    ],
    lookAt: "every writer of hcr_el2 between the events of the evidence",
    symbols: ["kvm_arch_vcpu_load", "handle_exit"],
    diagram: """
      exit   no trap     sampled API=APK=0
        |                           what the code leaves possible:  0
      entry              sampled API=APK=1    <-- not among it
      """)

  public static let bitsDiffer = Rule(
    id: "bits-differ", title: "API and APK differ",
    severity: .medium, isCorrectness: true,
    definition: "A vCPU that is no nested guest is entered with exactly one of API and APK set.",
    consequence: "all ten registers are switched, but the guest traps for ever on one kind of use",
    proofs: [
      .events("proved if the shadow is sampled so at an entry"),
      .audit("an enable or a clear whose mask is not both bits"),
      .model("explored: both bits change together"),
    ],
    history: [
      .v7("enable, disable and guard use the mask of both bits"),
      Source("279946ada1f2", "6.10: the bits of a nested guest are L1's, and may differ"),
    ],
    lookAt: "whoever sets the bits (v7: kvm_arm_vcpu_ptrauth_enable); legal only for nested guests",
    symbols: ["kvm_arm_vcpu_ptrauth_enable", "kvm_hyp_handle_ptrauth", "kvm_arch_vcpu_load"],
    diagram: """
      guest                       shadow          answer
      paciasp                     API=0 APK=0     trap: sets API only
      paciasp                     API=1 APK=0     runs
      msr APIAKEYLO_EL1, x0       API=1 APK=0     trap: sets API only
      msr APIAKEYLO_EL1, x0       API=1 APK=0     trap, for ever
      """)

  public static let nestedBitsDiffer = Rule(
    id: "nested-bits-differ", title: "nested guest's API/APK are not L1's",
    severity: .medium, isCorrectness: true,
    definition:
      "A nested guest is entered with API or APK other than L1's HCR_EL2 gives it, in "
      + "a VM that has ptrauth (6.10 on).",
    consequence: "L2 uses what L1 withholds from it, or L1 never sees a trap that it asked for",
    proofs: [
      .events(
        "proved if kvm_nested_eret shows L1's HCR_EL2 and the next entry's shadow is sampled with "
          + "other bits"),
      .audit(
        "static: what the load of a vCPU makes of L1's HCR_EL2, and whether kvm_handle_ptrauth hands a trap of L2 "
          + "to L1"),
    ],
    history: [
      Source("279946ada1f2", "6.10: L2's bits come from L1's HCR_EL2"),
      .noTrap("vcpu_set_pauth_traps() computes them at every load"),
    ],
    lookAt: "vcpu_set_pauth_traps() in kvm_arch_vcpu_load, and the load that follows a nested ERET",
    symbols: ["kvm_arch_vcpu_load", "kvm_emulate_nested_eret"],
    diagram: """
      L1                          shadow at the entry of L2
      HCR_EL2: API=0 APK=0
      eret to L2  --------------> API=1 APK=1    <-- not L1's
                                  L2: paciasp runs; L1 wanted the trap
      """)

  public static let oneFeatureOnly = Rule(
    id: "one-feature-only", title: "vCPU asked for one ptrauth feature of two",
    severity: .high, isCorrectness: true,
    definition:
      "KVM_ARM_VCPU_INIT with exactly one of the two ptrauth features. v7 refuses it in the "
      + "middle of kvm_reset_vcpu: it returns without loading the vCPU again and without enabling "
      + "preemption. (Mainline leaves through the common exit.)",
    consequence:
      "the thread goes on with preemption disabled, its vCPU put; any user of /dev/kvm can "
      + "cause it, with a warning in the log for each",
    proofs: [
      .events(
        "suspected in v7 if kvm_reset_vcpu is entered with exactly one of the bits, or if it puts the "
          + "vCPU and the thread enters the guest with no load in between"),
      .audit("kvm_reset_vcpu returns from inside its preempt-disabled section"),
      .model("explored: reset with one feature"),
    ],
    history: [.v7("a bare return -EINVAL between the put and the load of kvm_reset_vcpu")],
    lookAt: "the early return in kvm_reset_vcpu: it has to go to the exit that loads and enables "
      + "preemption",
    symbols: ["kvm_reset_vcpu"],
    diagram: """
      KVM_ARM_VCPU_INIT, features: ADDRESS only
      kvm_reset_vcpu
        preempt_disable()
        kvm_arch_vcpu_put           (if it was loaded)
        one feature of two: return -EINVAL
        (no kvm_arch_vcpu_load, no preempt_enable)
      """)
}
