// What only the kernel's code shows.
extension Rule {
  public static let partialKeySet = Rule(
    id: "partial-key-set", title: "key switch lacks registers, or pairs them wrongly",
    severity: .high, isCorrectness: true,
    definition: "A save or restore of a guest switch, or the host save, handles fewer than the ten "
      + "registers, or one of them at another's slot. (Elsewhere in the kernel fewer are normal: "
      + "kernel entry and exit use APIA alone.)",
    consequence:
      "the missing key leaks from one side to the other, and the side it belongs to fails to "
      + "authenticate with it",
    proofs: [
      .audit(
        "static: the registers read and written in __guest_enter, __guest_exit and the host save, "
          + "each with the slot it is loaded from or stored to"),
      .model("explored: one key of five left out of a save or a restore"),
    ],
    history: [
      .v7("five keys, LO and HI: ten registers at consecutive slots from APIAKEYLO_EL1 on"),
      Source(
        "https://github.com/ARM-software/arm-trusted-firmware/pull/1829",
        "elsewhere: the DB key was stored in the slot of DA"),
    ],
    lookAt:
      "the lists of registers in the save and restore macros, and the order of enum vcpu_sysreg",
    symbols: ["__guest_exit", "__guest_enter", "kvm_arm_vcpu_ptrauth_trap"],
    diagram: """
      slots      +0    +16   +32   +48   +64
      restore    APIA  APIB  APDA  APDB  APGA
      save       APIA  APIB  APDA  APDB  ----    <-- one stp is missing
      """)

  public static let missingISB = Rule(
    id: "missing-isb", title: "no isb after the host's keys were restored",
    severity: .high, isCorrectness: true,
    definition:
      "Guest exit writes the host's keys, and no isb comes before the next instruction of the "
      + "host that signs or authenticates a pointer, or before the return. Guest entry needs none: "
      + "the ERET synchronizes.",
    consequence: "the host may authenticate with keys that are not in effect yet",
    proofs: [
      .audit("static: no isb on the path from the last write of a key register to the first use")
    ],
    history: [
      .v7("ptrauth_switch_to_host ends with an isb"),
      Source(
        "20230614122600.2098901-1-smostafa@google.com",
        "6.5: separate keys for pKVM needed a second version for a missing isb (8c15c2a02810)"),
      Source("4a9ee4fc7953", "7.1: exceptions to and returns from EL2 set to synchronize"),
    ],
    lookAt: "the end of ptrauth_switch_to_host (later: _to_hyp) in __guest_exit",
    symbols: ["__guest_exit", "__guest_enter"],
    diagram: """
      __guest_exit
        msr APIAKEYLO_EL1, x4  ..  msr APGAKEYHI_EL1, x5
        (no isb)
        ldp x29, x30, [ctxt]
        ret / autiasp            <-- may still use the guest's keys
      """)

  public static let callOutOfHyp = Rule(
    id: "call-out-of-hyp", title: "EL2's code calls into the kernel's text",
    severity: .critical, isCorrectness: true,
    definition:
      "An instruction of nVHE's hypervisor branches to code outside of the hyp text: a helper such as "
      + "system_supports_address_auth() that the compiler did not inline. EL2 maps the hyp text alone.",
    consequence:
      "the host panics at EL2 when that code runs: for a trap handler, at the first trap",
    proofs: [
      .audit(
        "static: the target of every branch and call between __hyp_text_start and __hyp_text_end")
    ],
    history: [
      .earlyTrap(
        "the trap handler at EL2 asked vcpu_has_ptrauth(), which Clang left out of line"),
      Source("20200723155934.GA3929837@ubuntu-n2-xlarge-x86", "the report, and the fix"),
    ],
    lookAt: "the functions marked __always_inline that the trap handler at EL2 uses",
    symbols: ["kvm_hyp_handle_ptrauth", "fixup_guest_exit"],
    diagram: """
      EL2 maps       |  hyp text  |
      kernel text    |  ...       system_supports_address_auth  ...  |
      handler        bl  ------------------^                <-- no code there
      """)

  public static let shadowNotLive = Rule(
    id: "shadow-not-live", title: "guard reads the shadow of HCR_EL2, not the register",
    severity: .info, isCorrectness: true,
    definition:
      "The guard of the key switch reads HCR_EL2's shadow in memory, while the CPU obeys the "
      + "register (v7 to 5.8). Whoever writes one of them only breaks host-key-leak or "
      + "missed-host-restore.",
    consequence: "correct as long as every writer writes both",
    proofs: [.audit("static: __guest_enter and __guest_exit load the word from memory")],
    history: [
      .v7("the guard reads the shadow in struct kvm_cpu_context"),
      .earlyTrap("the early trap has to set shadow and register both"),
      .liveGuard("the guard reads HCR_EL2 (review: 20200615102529.GD773@C02TD0UTHF1T.local)"),
    ],
    lookAt: "every write of HCR_EL2 between vcpu_load and guest exit",
    symbols: ["__guest_enter", "__activate_traps"],
    diagram: """
      memory: shadow  --- written on the way in --->  CPU: HCR_EL2
           |                                               |
           v                                               v
      guard: switch keys?                        guest: trap or not?
      """)

  public static let namedLabels = Rule(
    id: "named-labels", title: "key switch macros with named labels",
    severity: .info, isCorrectness: true,
    definition: "v7's macros define ordinary labels (skip_switch_to_guest, skip_switch_to_host): a "
      + "second use in one object does not assemble, and the labels are symbols inside "
      + "__guest_enter and __guest_exit.",
    consequence:
      "perf, kallsyms and addr2line attribute the second half of __guest_enter to a label",
    proofs: [.audit("static: the labels are in the symbol table")],
    history: [
      .v7("named labels in the macros"), .merged("numeric labels"),
    ],
    lookAt: "asm/kvm_ptrauth_asm.h: use numeric labels",
    symbols: ["__guest_enter"],
    diagram: """
      symbol table                     what it is
      __guest_enter           FUNC     the function
      skip_switch_to_guest    NOTYPE   a label inside it
      __guest_exit            NOTYPE   a label inside it
      skip_switch_to_host     NOTYPE   a label inside it
      """)

  public static let el2KeysMixed = Rule(
    id: "el2-keys-mixed", title: "EL2's own keys and the host's are mixed up",
    severity: .critical, isCorrectness: true,
    definition:
      "In protected mode (6.5 on) EL2 has keys of its own: on entry from the host it saves "
      + "the host's and loads its own, on return the reverse. One of the two does not happen, or is "
      + "not followed by an isb.",
    consequence:
      "EL2 runs on keys that the host chose, or the host gets keys that only EL2 may know",
    proofs: [
      .audit("static: the key registers read and written by __host_exit's out-of-line blocks")
    ],
    history: [
      Source("8c15c2a02810", "6.5: separate keys for pKVM at EL2"),
      Source(
        "20230614122600.2098901-1-smostafa@google.com", "its second version: an isb was missing"),
    ],
    lookAt: "__host_exit and __host_enter of the nVHE object (the code is out of line)",
    symbols: ["__kvm_nvhe___host_exit", "__kvm_nvhe___host_enter"],
    diagram: """
      host (EL1)                EL2, protected
      keys: host   -- hvc -->   host context := host's keys
                                registers    := EL2's keys ; isb
                                ..
                                EL2 context  := EL2's keys
      keys: host   <- eret --   registers    := host's keys
      """)
}
