extension ManualTopic {
  static let verdicts = ManualTopic(
    name: "verdicts", abstract: "What a verdict says, and what it does not",
    sections: [
      Section(
        title: "VERDICTS",
        text: """
          findings: a correctness rule was broken. "proved" follows from the events alone, "suspected" has \
          another explanation, which the finding names, and "static" follows from the kernel's code.

          clean: every rule that this recording can show was judged, and none is broken; the others are listed \
          under "Not observable".

          incomplete: events were lost, or the file is cut or damaged; nothing was found outside of the gaps, or only \
          what events may explain that are missing without a word.

          cannot judge: no correctness rule shows in what was recorded (tracepoints alone, or no vmlinux), or one \
          that --require asks for does not.

          unusable: no vCPU could be followed.
          """),
      Section(
        title: "JUDGED",
        text: """
          A rule counts as judged if its evidence was recorded, whole, and if a situation occurred in which its fault \
          would have shown. An event whose format is in the file and that was never hit was not recorded, nor was \
          one that the recorder thinned out (perf record -F, -c, --filter). Recordings that leave out pCPUs, and those \
          with gaps that nothing accounts for, are incomplete; what leans on a sequence is then suspected at most. So \
          are those whose probes fetch another field than their names say: two probes of one exit that disagree, or a \
          shadow without HCR_EL2.VM.

          The first line says how many of how many correctness rules were judged, and names the critical ones that \
          were not: "CLEAN, but missed-host-save was not judged: 13 of 15 correctness rules judged, none broken". The \
          JSON document has them as criticalNotJudged; test reports skip them. --require critical makes such a \
          verdict "cannot judge" (exit code 2), named with the probe that helps; --require all does so for every \
          correctness rule, --require RULE,... for those, and findings stay findings. A rule that this kernel or its \
          guests cannot break is fulfilled, by name too, and the report says why it cannot be broken. The recipes for \
          CI and bisect-run require the critical rules.

          A critical rule that was judged of some vCPUs only is named with them: "missed-host-save on 3 of 5 vCPUs". \
          In the other two, which used pointer authentication too, its fault would not have shown. coverage in the \
          JSON has, for every rule judged, how often its fault would have shown, and in how many vCPUs.

          Each vCPU is also followed through all that the generation's own code leaves possible, and through all that it \
          would with each known fault planted. Where nothing of the first is left, and no other rule tells why, the \
          finding is "unexplained", suspected: something changes API or APK that is not part of the scheme (or a probe \
          fetches another word). It names the known faults that all of the recording fits, if there are any.

          A recording of which bytes were changed, as far as that shows, proves nothing: findings are then suspected at \
          most, and shown, and the verdict is incomplete: the first line names the rules that may only seem broken. A \
          changed value that is a possible one does not show: neither perf.data \
          nor trace.dat has checksums.
          """),
      Section(
        title: "THE KERNEL'S CODE",
        text: """
          The code of the vmlinux is audited with the recording (--no-audit leaves it out; without a vmlinux, or with \
          one of another build, the report says that it was not). It is the code of the kernel, not of the run, so \
          three things are told apart. A failure in code that every pass, load or trap of this generation comes \
          through (the guest switch in any of its copies, kvm_arch_vcpu_load, the trap handler that saves the host's \
          keys) is a finding of level "static": the verdict is findings, whatever the events show. A failure in other \
          code that handles the keys, which nothing shows to have run, or in EL2's own entry (protected mode only) \
          makes no verdict: "CLEAN, but partial-key-set fails in ..., which nothing shows to have run". What the audit \
          cannot judge is said, and is neither.

          Rules that no event of a kernel shows (partial-key-set, missing-isb, el2-keys-mixed; from 5.8 on \
          missed-host-save, missed-guest-save and missed-guest-restore too, unless the recording has their evidence) \
          are judged by the code alone, and the "code" line says which. A rule that events can show is never judged by \
          the code instead: that a save is there does not say that it ran in time.
          """),
      Section(
        title: "WHAT NO RECORDING SHOWS",
        text: """
          HCR_EL2 itself, and whether a pass switched keys, are in no event. A register ahead of its shadow, or a guard \
          that is always true, shows in code only; every report says so.

          A rule that was judged was judged where its fault would have shown: a fault of single runs, of one pCPU or of \
          some registers may still hide elsewhere. APIA is not looked at in a kernel that installs it at the return to \
          user mode only.

          A recorder that was paused leaves no mark. Across 0.2 s in which no pCPU wrote anything though a task ran \
          nothing is concluded, and the report says so; events around a shorter pause may be put together where nothing \
          contradicts it.

          A pass is not an event. __guest_enter may be re-entered, or return without entering, between one kvm_entry \
          and kvm_exit: counts of key switches are lower bounds.

          kvm tracepoints alone show that a guest tried to use pointer authentication, not what it got. Then a bit is \
          known only where the kernel's code and every fault of `verify` that the recording leaves possible agree on it \
          (an SError at a trap is left aside); most rules do not show.

          From 5.8 on traps are handled at EL2 without an event: only the shadow, sampled before and after a run, shows \
          them; and the host's slots are per-CPU data, so that a missed host save shows in code, not in a recording.

          Which instruction an EC 0x09 trap was, key values, and which alternatives the running kernel had patched.

          Code shows which bits of L1's HCR_EL2 an L2 guest gets and that its ptrauth traps go to L1, not that the vCPU \
          is in L2 when they do; and what KVM puts into the ID registers, not what a VMM writes to them later.

          Of nested guests, whose bits are their hypervisor's, only these are judged (nested-bits-differ), and that none traps \
          with its bit set; of protected guests nothing.

          trace.dat and ftrace text carry no process ids; the probe on kvm_arch_vcpu_load fetches them (mm, \
          userspace_pid). Without it, whose keys the host slots hold is told by their values, where sched_switch is \
          recorded. Text has microseconds, and pointers may be hidden in it.
          """),
    ])
}
