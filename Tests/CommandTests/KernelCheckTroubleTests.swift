import Testing

/// check-kernel where something is wrong that is no word on the kernel: the command line, this machine, the out folder.
extension KernelCheckTests {
  @Test(
    arguments: [
      (["--exit-code=bisect", "--nonsense"], 129), (["--exit-code=bisct"], 129),
      (["--exit-code", "standard", "--exit-code=bisect", "--minutes", "x"], 129),
      (["--exit-code", "bisect", "--exit-code", "kselftest", "--nonsense"], 4),
      (["--exit-code=bisect", "--rule", ""], 129), (["--require", ""], 64), (["--out", ""], 64),
      (["--exit-code=bisect", "--known", "Image"], 129),
      (["--rule", "stale-enable", "--baseline", "out"], 64),
    ] as [([String], Int32)])
  func aWrongCommandLineHasTheCodeOfItsDialect(options: [String], code: Int32) throws {
    let run = try check("", options: options, then: "ls out || true")
    #expect(run.code == code, "\(run.output)\(run.errors)")
    #expect(run.output == "")
  }

  @Test func whatCannotBePrintedIsNoVerdict() throws {
    let run = try check(
      Self.up, then: "code=0; \(Self.script) Image Image --exit-code=bisect > /dev/full || code=$?")
    #expect(run.code == 129, "\(run.output)\(run.errors)")
    #expect(run.errors.contains("standard output: No space left on device"))
  }

  @Test func aCopyWithoutItsFolderSaysSo() throws {
    let run = try check(
      "", then: "cp \(Self.script) copy; code=0; ./copy --exit-code bisect || code=$?")
    #expect(run.code == 129, "\(run.output)\(run.errors)")
    #expect(run.errors.contains("make a symbolic link to it, not a copy"))
  }

  /// Before it asks for its version, nothing may be there that an old Python cannot read.
  @Test func anOldPythonCouldReadIt() throws {
    let read = try Program.run(
      "python3",
      [
        "-c", "import ast, sys; ast.parse(open(sys.argv[1]).read(), feature_version=(3, 6))",
        Self.script,
      ])
    #expect(read.code == 0, "\(read.errors)")
  }

  @Test func theFolderOfAnotherIsLeftAlone() throws {
    let run = try check(
      Self.up, before: "mkdir out; echo mine > out/console.txt", then: "cat out/console.txt")
    #expect(run.code == 64, "\(run.output)\(run.errors)")
    #expect(run.output == "mine\n")
    #expect(run.errors.contains("out has console.txt, and no check-kernel made that folder"))
  }

  @Test func noOlderVerdictStays() throws {
    let run = try check(
      Self.up,
      then: "PTRAUTH_TRACE=/nonexistent \(Self.script) Image Image --out out || true; ls out")
    #expect(!run.output.contains("check.json"), "\(run.output)")
  }

  @Test func oneRunAtATimeUsesAFolder() throws {
    let run = try check(
      Self.up, options: ["--exit-code", "bisect"],
      before: "mkdir out; exec 9> out/.check-kernel; flock 9")
    #expect(run.code == 129, "\(run.output)\(run.errors)")
    #expect(run.errors.contains("another check-kernel uses the folder"))
  }

  @Test func noInputIsRemoved() throws {
    let list = "{\"schema\": \"ptrauth-trace/known/1\", \"findings\": []}"
    let run = try check(
      Self.up, options: ["--known", "link/audit.json"],
      before: "mkdir out; touch out/.check-kernel; ln -s out link; echo '\(list)' > out/audit.json",
      then: "ls out")
    #expect(run.code == 64, "\(run.output)\(run.errors)")
    #expect(run.output == "audit.json\n")
  }

  /// What the kernel says may fall behind a mark, and into one.
  @Test(arguments: [
    ("echo 'LAB: up[    4.500000] netfs: loaded'; sleep 9", "hung while it booted"),
    (
      KernelCheckTests.up + "printf 'LAB: do[    3.008661] hrtimer: late\\nne\\n'",
      "the recorder failed"
    ),
    (KernelCheckTests.up + "echo 'x LAB: no-kvm'", "stopped while it booted without a word"),
  ])
  func marksAreFoundAmongTheKernelsWords(scene: String, words: String) throws {
    let run = try check(scene, options: ["--minutes", "0.03"])
    #expect(run.output.contains(words), "\(run.output)\(run.errors)")
  }

  @Test func codeThatIsWrongNeedsNoImage() throws {
    let run = try check("", before: Self.auditFails, kernel: ["bin/tool", "Image"])
    #expect(run.code == 1, "\(run.output)\(run.errors)")
    #expect(run.output.contains("not ok 2 boot # ERROR bin/tool is no arm64 Image"))
  }

  @Test(arguments: [
    ("echo 'cannot set up guest memory'; exit 1", "QEMU ended with 1; the last on its console: c"),
    (KernelCheckTests.recording + "kill -9 $$", "QEMU was killed by signal 9"),
  ])
  func anEmulatorThatFailsBlamesNoKernel(scene: String, words: String) throws {
    let run = try check(scene, options: ["--exit-code=bisect"])
    #expect(run.code == 129, "\(run.output)\(run.errors)")
    #expect(run.errors.contains(words), "\(run.errors)")
  }
}
