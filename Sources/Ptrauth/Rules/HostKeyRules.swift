// The host's keys: saved in time, restored, and restored from the right place.
extension Rule {
  public static let missedHostSave = Rule(
    id: "missed-host-save", title: "host keys not saved before the guest ran with ptrauth enabled",
    severity: .critical, isCorrectness: true,
    definition: "The guest is entered with API or APK set, and this thread did not save the host's "
      + "keys on this pCPU since the last kvm_arch_vcpu_load. Guest entry itself saves none.",
    consequence: "guest exit loads keys that are not the host's: the VMM's next authentication "
      + "fails, and a kernel that uses pointer authentication itself dies",
    proofs: [
      .events(
        "proved if the host's slots, sampled after a run with ptrauth enabled, were never written, or hold other "
          + "keys than the thread's own: those that its save was seen to write, or that another thread saved while this "
          + "one had others; suspected if those are known from a save of what a guest exit had restored, if the slots hold "
          + "another process's and a thread of its own process had others, or if another process's trap was the last "
          + "that is known to have saved"
      ),
      .audit("the save of this generation's save function lacks registers, or is not there"),
      .model("explored: whose keys the host gets at guest exit"),
    ],
    history: [
      .v7("the trap handler saves the host's keys, guest entry relies on it"),
      Source(
        "YL3uEToHum2xgyOz@hazel",
        "nested virtualization: L1's API and APK reached the shadow without a trap; the host's keys "
          + "were restored as 0, and the kernel died on return from __kvm_vcpu_run_vhe"),
    ],
    lookAt: "the host save of this generation (v7: __ptrauth_save_state in "
      + "kvm_arm_vcpu_ptrauth_trap), and whether it runs on this pCPU after the last load",
    symbols: ["kvm_arm_vcpu_ptrauth_trap", "kvm_hyp_handle_ptrauth", "kvm_arch_vcpu_load"],
    diagram: """
      vCPU thread                 key registers    host slots of the pCPU
      kvm_arch_vcpu_load          host             old (0, or another's)
        (no host save)            host             old
      __guest_enter, API=APK=1    guest            old
      __guest_exit                old  <---------- old
      host code: autiasp fails
      """)

  public static let missedHostRestore = Rule(
    id: "missed-host-restore", title: "host ran on after guest exit with the guest's keys",
    severity: .critical, isCorrectness: true,
    definition: "Guest entry switched keys and guest exit did not switch back: the guard of "
      + "ptrauth_switch_to_host found API and APK clear that ptrauth_switch_to_guest had found set, or "
      + "its code does not restore.",
    consequence:
      "host code runs on keys that the guest chose: the guest can forge pointers that the "
      + "host accepts",
    proofs: [
      .events(
        "suspected where the guard reads the shadow (up to 5.8): set at kvm_vgic_flush_hwstate and clear at "
          + "kvm_vgic_sync_hwstate of one run, the two guards in between"
      ),
      .events(
        "proved where host_cpu_context's slots are sampled (up to 5.7): after a run they held the host's keys, "
          + "and after a later one the guest's, which that run did not change; suspected if they hold the thread's "
          + "own keys in other registers, or what no key of the host is: the value of a vCPU reset, or one value in "
          + "several registers (partial-key-set of a save looks alike)"),
      .audit("the restore half of __guest_exit lacks registers, or is not there"),
      .model("explored: the two guards of one pass disagree"),
    ],
    history: [
      .v7("both guards read the shadow in memory, one before and one after the guest"),
      .liveGuard("both guards read HCR_EL2"),
    ],
    lookAt: "whoever writes the shadow between guest entry and guest exit, and "
      + "ptrauth_switch_to_host in __guest_exit",
    symbols: ["__guest_exit", "__guest_enter"],
    diagram: """
      vCPU thread                      shadow       key registers
      __guest_enter: guard reads       API=APK=1    guest
        (something clears the shadow)  0
      __guest_exit: guard reads        0            guest  <-- no switch
      host code runs                                guest
      """)

  public static let staleHostContext = Rule(
    id: "stale-host-context", title: "host_cpu_context belongs to another pCPU",
    severity: .critical, isCorrectness: true,
    definition:
      "vcpu->arch.host_cpu_context does not point at the context of the pCPU that the vCPU "
      + "is loaded on.",
    consequence: "host keys are saved for one pCPU and restored on another",
    proofs: [
      .events(
        "proved if the pointer, sampled after a run, was seen in force on another pCPU; it is per-CPU "
          + "data; suspected if the pointers lie in another order than the pCPUs do, and host keys went astray"
      ),
      .model("explored: the context is not set again at load"),
    ],
    history: [
      Source("07da1ffaa137", "5.8: removes vcpu->arch.host_cpu_context")
    ],
    lookAt: "the assignment of vcpu->arch.host_cpu_context in kvm_arch_vcpu_load",
    symbols: ["kvm_arch_vcpu_load"],
    diagram: """
      pCPU 0                        pCPU 1
      kvm_arch_vcpu_load
        host_cpu_context = &cpu0
      kvm_arch_vcpu_put
                                    kvm_arch_vcpu_load
                                      (host_cpu_context = &cpu0 still)
                                    trap: host keys saved to &cpu0
      another vCPU's __guest_exit
        restores them from &cpu0
      """)

  public static let preemptibleHostSave = Rule(
    id: "preemptible-host-save", title: "host save split over two pCPUs",
    severity: .critical, isCorrectness: true,
    definition:
      "The trap handler saves the host's keys while it can be preempted (v7, 5.2 to 5.7). "
      + "It was moved to another pCPU between its enable and its return, so that it goes on saving "
      + "into the first pCPU's context, where a vCPU of another process had saved since its load.",
    consequence: "that other process gets this one's keys at its next guest exit",
    proofs: [
      .events(
        "suspected if the handler's entry and return were recorded, with the switch to another pCPU "
          + "between them, the enable before it, and a vCPU of another process relying on the first "
          + "pCPU's slots meanwhile (the save may have been through, or not begun); a preempted handler alone is "
          + "harmless (wasted-trap)"),
      .audit("the function that reads the host's keys is called from handle_exit: preemptible"),
      .model("explored: preemption points inside the handler"),
    ],
    history: [
      .v7("the handler runs after preempt_enable()"),
      .saveAtLoad(
        "moves the save into kvm_arch_vcpu_load (stable: 5.6.19, "
          + "1592410412126243@kroah.com; 5.7.3, 1592410366125160@kroah.com)"),
      Source("20200604133354.1279412-1-maz@kernel.org", "the report of the fault, June 2020"),
      Source("20200604150436.GC75320@C02TD0UTHF1T.local", "its review"),
    ],
    lookAt: "ef3e40a7ea8d: take the save out of the preemptible handler",
    symbols: ["kvm_arm_vcpu_ptrauth_trap"],
    diagram: """
      process A, pCPU 0             process B                 slots of 0
      kvm_arm_vcpu_ptrauth_trap
        ctxt = &cpu0
        enable; save APIA                                     A
        -- preempted, moved --      load on 0; trap: save     B
      on pCPU 1: save APIB ..                                 B and A
        into ctxt = &cpu0
                                    __guest_exit on 0  <----- B and A
      """)
}
