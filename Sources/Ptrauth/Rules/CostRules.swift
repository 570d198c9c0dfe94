// What the key switch costs for nothing. None of these is a fault.
extension Rule {
  public static let redundantSwitch = Rule(
    id: "redundant-switch", title: "key switches that no consumer needed",
    severity: .low, isCorrectness: false,
    definition:
      "Between two passes with keys switched of one load interval, the vCPU thread neither "
      + "returned to EL0 nor was switched out: nobody used the host's keys that were restored, except "
      + "a kernel that signs its own return addresses (APIA). One costs 30 register accesses, as each of the "
      + "ten registers is read once and written twice; 24 where APIA's two are needed by the kernel.",
    consequence: "between two passes of one load interval nobody used the host's keys",
    proofs: [
      .events(
        "proved by the load, the put and the passes between them that certainly entered; a lower "
          + "bound, since not every pass has an event")
    ],
    history: [
      .v7("switches at every pass on purpose, to be ready for a kernel that uses ptrauth itself")
    ],
    lookAt: "ptrauth-trace's counters; switching at load and put would be enough",
    symbols: ["__guest_enter"],
    diagram: """
      load   enter  exit   enter  exit   enter  exit   put
        |      |      |______|      |______|      |      |
        |    guest   host  guest  host   guest  host     |
                      ^^^^^^^^      ^^^^^^^^
                      restored, not used, switched again
      """)

  public static let redundantHostSave = Rule(
    id: "redundant-host-save", title: "host saves never restored from, or of the same keys",
    severity: .low, isCorrectness: false,
    definition:
      "A host save whose slots no guest exit restored before the next save or load on that "
      + "pCPU, or one that writes what the slots already held.",
    consequence: "ten reads and ten stores of key registers for nothing",
    proofs: [
      .events(
        "proved if the load interval ends without a switched run after the save; suspected if the "
          + "same process (the same thread, where the kernel uses ptrauth itself) saved this pCPU's "
          + "slots before and nobody else did since: it may have changed its keys")
    ],
    history: [.saveAtLoad("saves at every load of a vCPU with the feature, used or not")],
    lookAt: "loads that end before a run used the saved slots",
    symbols: ["kvm_arm_vcpu_ptrauth_trap", "kvm_arch_vcpu_load"],
    diagram: """
      kvm_arch_vcpu_load    host slots := ten registers
      kvm_entry, kvm_exit   (no key switch)
      kvm_arch_vcpu_put     the slots were never read
      """)

  public static let lazyThrash = Rule(
    id: "lazy-thrash", title: "nearly every load interval traps again",
    severity: .low, isCorrectness: false,
    definition:
      "At least 90 % of the load intervals of a vCPU that ran took a ptrauth trap, over 8 or "
      + "more of them in a row.",
    consequence: "the lazy scheme pays one full exit per load for a guest that always uses ptrauth",
    proofs: [
      .events(
        "proved by the traps; where they are handled at EL2 (5.8 to 6.9), by the shadow sampled at "
          + "kvm_vgic_flush_hwstate and kvm_vgic_sync_hwstate")
    ],
    history: [.noTrap("stopped trapping: guests that see the feature use it")],
    lookAt: "814ad8f96e92 (6.10), which stopped trapping for this reason",
    symbols: ["kvm_arm_vcpu_ptrauth_setup_lazy", "kvm_arch_vcpu_load"],
    diagram: """
      load  trap run  put | load  trap run  put | load  trap run  put
       0     1    1    1     0     1    1    1     0     1    1    1
             ^               ^                     ^
      API=APK cleared at each load, set again by a trap in each interval
      """)

  public static let wastedTrap = Rule(
    id: "wasted-trap", title: "ptrauth traps answered for nothing",
    severity: .low, isCorrectness: false,
    definition:
      "A ptrauth trap was answered, and before the next guest entry the thread was switched "
      + "out: the load that followed cleared the bits, and the guest trapped again. Or the handler left the bits as "
      + "they were.",
    consequence: "one full exit and one host save more",
    proofs: [
      .events(
        "proved by two traps of one vCPU with a load and no run that could use the first one's enable "
          + "between them; or by a trap whose handler was seen, and an entry with both bits clear and no load in "
          + "between")
    ],
    history: [
      .v7("the handler runs with preemption enabled"),
      .earlyTrap("handles the trap at EL2, where nothing comes between"),
    ],
    lookAt: "the scheduling of the vCPU threads; 29eb5a3c57f7 removes the window",
    symbols: ["kvm_arm_vcpu_ptrauth_trap"],
    diagram: """
      guest: paciasp   kvm_exit EC 0x09   handler: API=APK=1
                       -- preempted --
                       kvm_arch_vcpu_put, kvm_arch_vcpu_load: 0
      guest: paciasp   kvm_exit EC 0x09   the same trap again
      """)

  public static let earlyClear = Rule(
    id: "early-clear", title: "API/APK cleared inside a load interval",
    severity: .low, isCorrectness: false,
    definition:
      "Both bits are set at a vCPU's exit and clear at its next entry or put, though no kvm_arch_vcpu_load came "
      + "in between.",
    consequence:
      "the guest traps again for what it was given: one full exit and one host save more",
    proofs: [
      .events(
        "proved by the shadow sampled at both, where kvm_arch_vcpu_load is probed: between loads only a reset of "
          + "the vCPU clears")
    ],
    history: [.v7("clears at kvm_arch_vcpu_load alone")],
    lookAt: "whoever writes the shadow between guest exit and guest entry",
    symbols: ["kvm_arm_vcpu_ptrauth_disable", "handle_exit"],
    diagram: """
      load  trap  run   exit  run   trap  run   put
       0     1     1     0     0     1     1
                         ^           ^
                         cleared     the same trap again
      """)

  public static let undefStorm = Rule(
    id: "undef-storm", title: "guest keeps using ptrauth it does not have",
    severity: .low, isCorrectness: false,
    definition:
      "A vCPU without the feature takes 100 or more ptrauth traps within a second. Each is "
      + "answered with an UNDEF.",
    consequence: "a full exit and an exception in the guest each time; the guest ignores its ID "
      + "registers, or they lie",
    proofs: [.events("proved by the traps of a vCPU whose sampled features lack a ptrauth bit")],
    history: [
      Source(
        "20190501161008.31498-1-kristina.martsenko@arm.com",
        "as merged, the ID registers showed ptrauth to vCPUs without it")
    ],
    lookAt: "ID_AA64ISAR1_EL1 as the guest reads it, and the guest",
    symbols: ["kvm_handle_ptrauth"],
    diagram: """
      guest without ptrauth
      paciasp   kvm_exit EC 0x09   kvm_inject_undefined
      paciasp   kvm_exit EC 0x09   kvm_inject_undefined
      ..
      """)

  public static let shortLoad = Rule(
    id: "short-load", title: "loads that ended without a run, each with a host save",
    severity: .low, isCorrectness: false,
    definition:
      "A vCPU with the feature was loaded and put with no kvm_entry between, in a generation "
      + "that saves the host's keys at every load (ef3e40a7ea8d, 6.10 on).",
    consequence: "ten reads and ten stores of key registers for nothing",
    proofs: [.events("proved by a load and a put of one vCPU with no kvm_entry in between")],
    history: [
      .saveAtLoad("saves at every load"),
      .noTrap("saves at every load"),
    ],
    lookAt: "who loads the vCPU so often (vCPU ioctls, wake-ups that find nothing to do)",
    symbols: ["kvm_arch_vcpu_load"],
    diagram: """
      kvm_arch_vcpu_load    host slots := ten registers
      kvm_arch_vcpu_put
      kvm_arch_vcpu_load    host slots := ten registers
      kvm_arch_vcpu_put
      """)

  public static let eagerUnused = Rule(
    id: "eager-unused", title: "keys switched for a guest that does not use ptrauth",
    severity: .info, isCorrectness: false,
    definition:
      "A generation that saves the host's keys at load (ef3e40a7ea8d) or sets the bits there "
      + "(6.10 on) pays for load intervals in which the guest uses no pointer authentication.",
    consequence: "a host save per load, and from 6.10 on a key switch per pass, for nothing",
    proofs: [
      .events(
        "proved in the stable kernels that save at load and still trap: an interval without a trap; "
          + "from 6.10 on nothing traps, and no event tells")
    ],
    history: [
      .saveAtLoad("saves before the guest is known to use ptrauth"),
      .noTrap("0.24 % fewer cycles for an ordinary guest all the same"),
    ],
    lookAt: "whether the VM needs the feature: without it nothing is saved or switched",
    symbols: ["kvm_arch_vcpu_load"],
    diagram: """
      kvm_arch_vcpu_load    host slots := ten registers
      kvm_entry, kvm_exit   no trap: the guest did not use ptrauth
      kvm_arch_vcpu_put
      """)

  public static let fastReentry = Rule(
    id: "fast-reentry", title: "guest re-entered without a return to the host",
    severity: .info, isCorrectness: false,
    definition:
      "A kvm_entry .. kvm_exit pair holds more than one pass: __guest_enter is called again "
      + "for exits that EL2 handles itself, and each pass switches keys.",
    consequence: "more key switches than kvm_entry shows",
    proofs: [
      .events(
        "proved for ptrauth traps handled at EL2 (5.8 to 6.9): the shadow is clear at "
          + "kvm_vgic_flush_hwstate and set at kvm_vgic_sync_hwstate of one run; other re-entries "
          + "leave no event in perf.data or trace.dat (nVHE kernels of 7.x write hyp_enter and hyp_exit at "
          + "each, in a buffer of their own: tracefs, remotes/hypervisor/trace_pipe, text without task or pid)"
      )
    ],
    history: [.earlyTrap("makes a ptrauth trap one more reason to re-enter")],
    lookAt: "the exits that fixup_guest_exit answers",
    symbols: ["__guest_enter"],
    diagram: """
      flush: 0                                          sync: API=APK=1
      kvm_entry                                                kvm_exit
        |     guest enter .. trap   guest enter .. exit          |
        |_________|_____________|_______|____________|___________|
                  one pass              one more pass
      """)

  public static let guardCost = Rule(
    id: "guard-cost", title: "guard of the key switch in every pass",
    severity: .info, isCorrectness: false,
    definition: "Guest entry and exit test whether keys have to be switched, on machines without "
      + "pointer authentication too: a load, a mask and a branch (v7); patched branches in front of "
      + "them from 5.2 on.",
    consequence:
      "three instructions per entry and per exit (v7); one or two patched ones where the CPU "
      + "has no ptrauth (5.2 on)",
    proofs: [.audit("static: the instructions in front of the key accesses")],
    history: [
      .merged("two patched branches in front of each guard"),
      Source("20200805175700.62775-6-maz@kernel.org", "5.9: one"),
    ],
    lookAt: "the guard in __guest_enter and __guest_exit",
    symbols: ["__guest_enter"],
    diagram: """
      v7                       5.2 .. 5.8               5.9 on
                               b / nop, b / nop         b / nop
      ldr  x0, [ctxt, #hcr]    ldr  x0, [ctxt, #hcr]    mrs  x0, hcr_el2
      and  x0, x0, #API|APK    and  ..                  and  ..
      cbz  x0, skip            cbz  ..                  cbz  ..
      """)
}
