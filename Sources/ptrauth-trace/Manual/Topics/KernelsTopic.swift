extension ManualTopic {
  static let kernels = ManualTopic(
    name: "kernels", abstract: "Judging a kernel tree, without an Arm machine",
    sections: [
      Section(
        title: "CHECK-KERNEL",
        text: """
          traces/ci/check-kernel (packages have it in /usr/share/ptrauth-trace) boots a kernel under QEMU, records guests \
          there with that kernel's own probes, audits its code, and judges both. It needs of Debian's packages: \
          qemu-system-arm, gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, debian-archive-keyring, xz-utils; and to build \
          kernels: dwarves, flex, bison, bc, make, libssl-dev, libelf-dev.

          Which kernel:
            check-kernel --build TREE            # builds it
            check-kernel --build TREE --llvm     # with clang; --llvm=-19, --llvm=/DIR/
            check-kernel IMAGE VMLINUX           # is built
            check-kernel --kernel debian:6.12    # one of Debian's

          --config adds to the small configuration (traces/lab/kernel/lab.config). --baseline OUT compares with the out \
          folder of an earlier run. --rule stale-enable seeks one fault where others are older; --known FILE names \
          findings that do not count.

          It prints KTAP; audit, console, recording and reports (text, JSON, HTML, JUnit) are in the out folder.
          """),
      Section(
        title: "EXIT CODES",
        text: """
          Those of `analyze`, and 3: the kernel does not build, does not boot, panics, hangs or has no KVM, which is no \
          word on its key switch. One panic is a finding, code 1: at a pointer that fails to authenticate in the host \
          while guests run. On a kernel that signs its own return addresses that is what a missed save looks like; the \
          report says whether the audit has a reason for it, or the panic alone is the evidence. A guest, or a thread \
          of a VMM, that finds its keys changed is a finding too.

          For git bisect run, --exit-code bisect: 0 good, 1 bad, 125 (skip) for a revision that does not build, does not \
          boot or cannot be judged, 129 (stop) if this machine lacks something. Code that the audit finds wrong is bad \
          even where it does not boot.

          To find a commit:
            git bisect run check-kernel --build . --exit-code bisect
          """),
      Section(
        title: "WHAT IT TAKES",
        text: """
          On two cores a minute and a half for a kernel that is built, within --minutes; the first build of a tree \
          takes seven (clang eight, ThinLTO eleven), the next ones what changed. Guests sign, authenticate, write and \
          read keys, sleep, exit, are paused, moved, reset, switched off and replaced, as --seed chooses and with --vmm \
          as you choose (traces/lab/workload/vmm.c).
          """),
      Section(
        title: "WHAT IT DOES NOT SHOW",
        text: """
          What is judged was judged under emulation, which reorders little and has one implementation's traps: a missing \
          isb shows in the code alone, and what depends on a CPU's errata, on nVHE, or on nested and protected guests \
          does not show.
          """),
    ])
}
