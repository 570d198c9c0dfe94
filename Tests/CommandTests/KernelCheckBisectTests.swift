import Testing

/// What check-kernel tells `git bisect run` of a revision: 0 good, 1 bad, 125 skip, 129 stop.
extension KernelCheckTests {
  /// What a kernel that signs its own return addresses says where its keys are not its own.
  static let authentication =
    "echo 'Internal error: Oops - FPAC: 0000000072000000 [#1] SMP'; "
    + "echo 'Kernel panic - not syncing: Oops - FPAC: Fatal exception'"
  static let otherPanic = "echo 'Kernel panic - not syncing: VFS: Unable to mount root fs'"

  /// A tool whose audit finds the host's save missing.
  static let auditFails = """
    cat > bin/tool <<'END'
    #!/bin/sh
    kind=$1
    while [ "$1" != -o ]; do shift; done
    [ $kind = audit ] || { echo '{"checks": []}' > "$2"; exit 0; }
    echo '{"checks": [{"id": "S8", "title": "the host", "statement": "nothing is stored",
      "outcome": "fail", "rule": "missed-host-save"}]}' > "$2"
    exit 1
    END
    """

  private func bisect(
    _ scene: String, options: [String] = [], before: String = "", kernel: [String]? = nil
  ) throws -> Program {
    let run = try check(
      scene, options: ["--exit-code", "bisect"] + options, before: before, kernel: kernel)
    #expect(!run.output.contains("left behind"))
    return run
  }

  @Test func aGoodRevisionIsGood() throws {
    let run = try bisect(played("v7-good"))
    #expect(run.code == 0, "\(run.output)\(run.errors)")
  }

  @Test(arguments: [
    (KernelCheckTests.up + KernelCheckTests.otherPanic, "panicked while it booted: VFS"),
    (KernelCheckTests.recording + KernelCheckTests.otherPanic, "panicked while guests ran: VFS"),
    // Nothing had switched keys: the host's own are at fault.
    (
      KernelCheckTests.up + KernelCheckTests.authentication,
      "no guest had run, so nothing had switched keys"
    ),
    (KernelCheckTests.up + "echo 'LAB: no-kvm'; echo 'LAB: done'", "has no /dev/kvm"),
    (KernelCheckTests.recording + KernelCheckTests.done, "the recorder failed"),
  ])
  func aRevisionThatCannotBeTriedIsSkipped(scene: String, words: String) throws {
    let run = try bisect(scene)
    #expect(run.code == 125, "\(run.output)\(run.errors)")
    #expect(run.output.contains(words), "\(run.output)")
  }

  @Test func aPanicAtAnAuthenticationIsBadWhetherOrNotTheAuditSaysWhy() throws {
    let unexplained = try bisect(Self.recording + Self.authentication)
    #expect(unexplained.code == 1, "\(unexplained.output)\(unexplained.errors)")
    #expect(
      unexplained.output.contains("the audit has no reason for it: this panic is the evidence"))
    let sought = try bisect(
      Self.recording + Self.authentication, options: ["--rule", "stale-enable"])
    #expect(sought.code == 1, "\(sought.output)\(sought.errors)")
    let explained = try bisect(Self.recording + Self.authentication, before: Self.auditFails)
    #expect(explained.code == 1, "\(explained.output)\(explained.errors)")
    #expect(explained.output.contains("the audit says why: missed-host-save"))
    #expect(explained.output.contains("not ok 1 audit # the code is wrong: S8 the host: nothing"))
  }

  /// A revision whose code is wrong is bad even where it does not boot.
  @Test func codeThatIsWrongNeedsNoBoot() throws {
    let run = try bisect(Self.up + Self.otherPanic, before: Self.auditFails)
    #expect(run.code == 1, "\(run.output)\(run.errors)")
  }

  /// With --rule what speaks of other rules does not count.
  @Test(arguments: [
    ("missed-host-save", Int32(1)), ("stale-enable", 125), ("feature-denied", 125),
  ])
  func oneRuleIsSought(rule: String, code: Int32) throws {
    for scene in [Self.recording + Self.authentication, Self.up + Self.otherPanic] {
      let run = try bisect(scene, options: ["--rule", rule], before: Self.auditFails)
      #expect(run.code == code, "\(run.output)\(run.errors)")
    }
  }

  /// By the code alone; it cannot happen in this kernel; no event of it shows.
  @Test(arguments: [
    ("missed-guest-save", Int32(0)), ("host-key-leak", 0), ("keys-lost-in-migration", 125),
  ])
  func aRuleThatNoEventShowsIsJudgedAsBisectRunHasIt(rule: String, code: Int32) throws {
    let run = try check(
      played("deb-6.1-good"), tool: Program.command,
      options: ["--exit-code", "bisect", "--rule", rule], kernel: real("deb-6.1-good"))
    #expect(run.code == code, "\(run.output)\(run.errors)")
  }

  @Test(arguments: [["--rule", "no-such-rule"], ["--require", "no-such-rule"]])
  func aRuleThatDoesNotExistStopsBeforeAnythingIsBooted(options: [String]) throws {
    let run = try check(
      "", tool: Program.command, options: ["--exit-code", "bisect"] + options,
      then: "ls out || true")
    #expect(run.code == 129, "\(run.output)\(run.errors)")
    #expect(run.errors.contains("no rule is named no-such-rule"))
    #expect(run.output == "")
  }

  /// `make` is a stand-in that fails with these words.
  private func unbuilt(_ words: String, options: [String] = []) throws -> Program {
    try bisect(
      "", options: options,
      before: """
        mkdir -p tree/arch/arm64/kvm
        touch tree/Makefile tree/arch/arm64/kvm/arm.c
        for name in flex bison bc pahole gcc; do printf '#!/bin/sh\\n' > bin/$name; done
        printf '#!/bin/sh\\necho "%s"\\nexit 2\\n' '\(words)' > bin/make
        chmod +x bin/*
        """, kernel: ["--build", "tree"])
  }

  @Test func aRevisionThatDoesNotBuildIsSkipped() throws {
    let run = try unbuilt("arch/arm64/kvm/arm.c:12:3: error: expected expression")
    #expect(run.code == 125, "\(run.output)\(run.errors)")
    #expect(run.output.contains("does not build"))
    #expect(run.output.contains("# build: arch/arm64/kvm/arm.c:12:3: error: expected"))
  }

  /// No revision would build here: the bisection stops.
  @Test(arguments: [
    ("main.c:1:10: fatal error: gelf.h: No such file or directory", "libelf-dev"),
    ("sign-file.c:2:10: fatal error: 'openssl/opensslv.h' file not found", "libssl-dev"),
  ])
  func aHeaderOfThisMachineBlamesNoRevision(words: String, package: String) throws {
    let run = try unbuilt(words.replacing("'", with: "'\\''"))
    #expect(run.code == 129, "\(run.output)\(run.errors)")
    #expect(run.errors.contains("apt-get install \(package)"), "\(run.errors)")
  }

  @Test(arguments: [
    "gcc: fatal error: Killed signal terminated program cc1", "x.o: No space left on device",
  ])
  func aMachineThatIsTooSmallBlamesNoRevision(words: String) throws {
    let run = try unbuilt(words)
    #expect(run.code == 129, "\(run.output)\(run.errors)")
    #expect(run.errors.contains("this machine cannot go on with the build: \(words)"))
  }

  @Test(arguments: [
    ("--llvm=/nonexistent/", "/nonexistent/ has no clang, ld.lld, llvm-ar"),
    ("--llvm=-99", "apt-get install clang-99 lld-99 llvm-99"),
  ])
  func aCompilerThatIsMissingBlamesNoRevision(option: String, words: String) throws {
    let run = try unbuilt("nobody asks for this", options: [option])
    #expect(run.code == 129, "\(run.output)\(run.errors)")
    #expect(run.errors.contains(words), "\(run.errors)")
  }
}
