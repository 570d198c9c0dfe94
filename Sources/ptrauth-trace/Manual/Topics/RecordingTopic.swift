extension ManualTopic {
  static let recording = ManualTopic(
    name: "recording", abstract: "What to record, and what is read",
    sections: [
      Section(
        title: "EVENTS AND PROBES",
        text: """
          `record` and the scripts of `probes` do all of this. By hand it is the kvm tracepoints, sched_switch, \
          sched_migrate_task, and kprobes on kvm_arch_vcpu_load, kvm_arch_vcpu_put, handle_exit, \
          kvm_vgic_flush_hwstate, kvm_vgic_sync_hwstate, kvm_reset_vcpu and (v7 to 5.7) kvm_arm_vcpu_ptrauth_trap, at \
          its return too, that fetch vcpu, vcpu_id, hcr_el2, features, esr_el2, and for the key rules the guest's and \
          the host's ten key slots. A probe is recognised by its address, its fields by their names; the offsets \
          differ by kernel. Never put a kprobe on kvm_hyp_handle_ptrauth: the first hit panics the host.

          By hand:
            perf record -a -e 'kvm:*' -e sched:sched_switch -e sched:sched_migrate_task

          From 5.8 on no probe reaches the host's slots; the script lists the rules that are not judged then. \
          --no-keys leaves all slots out and says which rules that costs.

          From 5.16 to 6.9 the function tracer shows what no event does: each of its records of \
          kvm_hyp_handle_ptrauth is a trap at EL2. The bits were 0 until then, and are 1 behind it until the next load.

          With the function tracer:
            trace-cmd record -p function -l kvm_hyp_handle_ptrauth \\
              -l kvm_arch_vcpu_load -l kvm_arch_vcpu_put -e kvm
          """),
      Section(
        title: "KEY VALUES",
        text: """
          Key values are secrets. `record` replaces them before a page of events is written, equal ones by equal \
          ones, under a secret of that recording which is kept in memory only. What perf, trace-cmd, tracefs or \
          bpftrace wrote has them; `redact` makes a copy that can be shared and is analyzed alike. Reports only say \
          whether two slots were equal.
          """),
      Section(
        title: "WHAT IS READ",
        text: """
          perf.data (files, directories of perf record --threads, pipes, compressed), trace.dat of version 6 and 7, \
          a directory of raw ring buffers (cpuN.trace_pipe_raw, or a copy of tracefs' per_cpu/, with events/ or \
          formats/ beside), and text: the trace file, `trace-cmd report -t`, or perf script --ns \
          --guestkallsyms=/dev/null (without that option perf script hides everything between load and put). All of \
          these packed with gzip, xz or zstd, from a pipe too; and what a killed `record` left (trace.dat.unfinished, with \
          trace.dat.cpuN beside it). Of a perf.data whose recorder was killed the event \
          formats are taken from --formats, or from what lies beside it and fits. All instances of a trace.dat with \
          one clock are read. A guest's trace.dat of the same session (trace-cmd record -A), named beside its host's or \
          lying there, is part of the host's report, on the host's clock; the recorder's list of its vCPUs says which \
          thread runs which.

          Several recordings in one call give one report each and a summary; a directory of recordings is all that are \
          in it, the summary first. The exit code is that of the worst: findings, then what cannot be judged.

          Of a stream, a finding appears within a second of its event. perf gives events away a buffer at a time \
          without --no-buffering.

          Streams:
            ssh host cat /sys/kernel/tracing/trace_pipe |
              ptrauth-trace analyze -k vmlinux -
            perf record -a --no-buffering -e 'kvm:*' -e 'ptrauth:*' -o - |
              ptrauth-trace analyze -
          """),
      Section(
        title: "PASSES",
        text: """
          --instructions counts passes and key switches exactly in the log of an emulated host (qemu-system-aarch64 -d \
          exec,nochain -dfilter START..END, the addresses of __guest_enter), with a recording of the same run or \
          without one. A perf.data whose samples say which instructions ran is read alike: branches or instructions \
          that perf inject --itrace=b (or i1i) made of a CoreSight trace, branch stacks (perf record -b), or plain \
          samples. Where every branch has its sample, and each can follow the one before it in the kernel's code, the \
          passes are counted exactly; otherwise the report says "at least", or "a sample" if branches are missing that \
          nothing speaks of. Beside kvm events in the same file the counts of a vCPU's thread become the vCPU's.
          """),
      Section(
        title: "THE VMLINUX",
        text: """
          It is found by build-id beside the recording, in the build-id cache ($PERF_BUILDID_DIR, ~/.debug), in \
          /usr/lib/debug, in /boot, or by debuginfod-find ($DEBUGINFOD_URLS); -k names it, packed or not. Without one \
          the analysis follows kvm tracepoints and counts, and judges no correctness rule; --generation then tells \
          the scheme. Against the marks of a vmlinux it is an error.
          """),
    ])
}
