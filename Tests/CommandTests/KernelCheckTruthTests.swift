import Testing

/// check-kernel with a log of what the emulator's CPUs did.
extension KernelCheckTests {
  /// A log of the emulator's CPUs, with `change` (a sed script) made to it, beside the recording of the same run.
  private func logged(_ change: String) -> String {
    """
    : PTRAUTH_TRUTH_LOG is what tells this emulator from others
    zstd -dcq \(Corpus.root)/traces/v7-good/gt.log.zst | sed '\(change)' > "$PTRAUTH_TRUTH_LOG"
    echo "$PTRAUTH_TRUTH_FUNCTIONS $PTRAUTH_TRUTH_FEATURES" > words

    """ + played("v7-good")
  }

  private static let listSymbols = """
    printf '#!/bin/sh\\n' > bin/aarch64-linux-gnu-nm
    for name in kvm_arch_vcpu_load kvm_arch_vcpu_put __guest_enter handle_exit.llvm.77; do
      echo "echo ffff800008012340 T $name" >> bin/aarch64-linux-gnu-nm
    done
    chmod +x bin/*
    """

  @Test func theTruthIsBesideTheAnalysis() throws {
    let options = ["--require", "none", "--truth", "bin/qemu-system-aarch64"]
    let run = try check(
      logged(""), tool: Program.command, options: options, before: Self.listSymbols,
      kernel: real("v7-good"), then: "cat words out/truth.txt; ls out")
    #expect(run.code == 0, "\(run.output)\(run.errors)")
    #expect(
      run.output.contains("\nok 6 truth # 1425 of 1425 runs are told as the CPU had them, none"))
    #expect(run.output.contains(",ffff800008012340:handle_exit 8640\n"))
    #expect(run.output.contains("\n      1402 entries to a guest\n"))
    #expect(run.output.contains("\ntruth.json\ntruth.log.zst\ntruth.txt\n"))
    #expect(!run.output.contains("left behind"))
    // The analysis is wrong then, and no word on the kernel.
    let wrong = try check(
      logged("s/ hcr=400c/ hcr=430c/"), tool: Program.command, options: options,
      before: Self.listSymbols, kernel: real("v7-good"))
    #expect(wrong.code == 2, "\(wrong.output)\(wrong.errors)")
    #expect(wrong.output.contains("\nnot ok 6 truth # ERROR "))
  }

  /// A kernel that runs no guest leaves an empty log, one that is killed a torn one.
  @Test func aLogThatSaysNothingIsNoVerdict() throws {
    let options = ["--require", "none", "--truth", "bin/qemu-system-aarch64"]
    let empty = try check(
      ": > \"$PTRAUTH_TRUTH_LOG\"; " + Self.up + "echo 'Kernel panic - not syncing: VFS'",
      tool: Program.command, options: options, before: Self.listSymbols, kernel: real("v7-good"))
    #expect(empty.code == 3, "\(empty.output)\(empty.errors)")
    #expect(empty.output.contains("truth # SKIP no guest ran"))
    let torn = try check(
      "echo '0 a=1 b=1 c=1 d=1 k=1' > \"$PTRAUTH_TRUTH_LOG\"; " + played("v7-good"),
      tool: Program.command, options: options, before: Self.listSymbols, kernel: real("v7-good"))
    #expect(torn.code == 2, "\(torn.output)\(torn.errors)")
    #expect(torn.output.contains("truth # ERROR the emulator's log cannot be read"))
  }

  @Test func aQemuThatKeepsNoLogIsSaid() throws {
    let run = try check("", options: ["--truth", "bin/qemu-system-aarch64"])
    #expect(run.code == 64)
    #expect(run.errors.contains("keeps no log of its CPUs: traces/lab/truth/prepare builds one"))
  }
}
