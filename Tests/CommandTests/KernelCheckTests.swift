import Glibc
import Testing

/// traces/ci/check-kernel without a boot: QEMU, the compiler and Debian's packages are stand-ins, and what the
/// emulated host would have said and recorded is played. The recordings, the analysis and the verdict are real.
struct KernelCheckTests {
  static let script = Corpus.root + "/traces/ci/check-kernel"
  static let up = "echo 'LAB: up'; "
  static let recording = up + "echo 'LAB: recording'; "
  static let done = "echo 'LAB: recorded'; echo 'LAB: done'; "

  /// What answers in the tool's place where only the console counts.
  static let stubTool = """
    #!/bin/sh
    echo "$*" >> words
    while [ "$1" != -o ]; do shift; done
    case $2 in *.xml) echo '<testsuites/>' ;; *) echo '{"checks": []}' ;; esac > "$2"
    """

  /// Runs check-kernel; `scene` is a shell script that plays the emulated host: $share is the shared folder.
  func check(
    _ scene: String, tool: String? = nil, options: [String] = [], without: String? = nil,
    before: String = "", kernel: [String]? = nil, then: String = ""
  ) throws -> Program {
    let setup = """
      set -eu
      scratch=$(mktemp -d /tmp/ptrauth-trace-kernel.XXXXXX)
      trap 'rm -rf "$scratch"' EXIT
      cd "$scratch"
      mkdir -p bin tmp cache/ptrauth-trace/lab/recorders-bookworm/bin
      for name in busybox perf; do echo > cache/ptrauth-trace/lab/recorders-bookworm/bin/$name; done
      printf '#!/bin/sh\\nwhile [ "$1" != -o ]; do shift; done\\necho > "$2"\\n' > bin/aarch64-linux-gnu-gcc
      printf '#!/bin/sh\\n' > bin/aarch64-linux-gnu-readelf
      cat > bin/tool <<'END'
      \(Self.stubTool)
      END
      cat > bin/qemu-system-aarch64 <<'END'
      #!/bin/sh
      case "$*" in
        *--version*) echo "QEMU emulator version 7.2.22"; exit ;;
        *"-device help"*) echo 'name "virtio-9p-device"'; exit ;;
      esac
      share=${*#*local,id=o,path=}
      share=${share%%,*}
      \(scene)
      END
      head -c 56 /dev/zero > Image && printf ARMd >> Image
      chmod +x bin/*
      \(without.map { "rm bin/\($0)" } ?? "")
      \(before)
      export XDG_CACHE_HOME=$scratch/cache TMPDIR=$scratch/tmp PTRAUTH_TRACE=\(tool ?? "$scratch/bin/tool")
      PATH=$scratch/bin:/usr/bin:/bin
      code=0
      \(Self.script) \((kernel ?? ["Image", "Image"]).joined(separator: " ")) --out out \
        \(options.map { "'\($0)'" }.joined(separator: " ")) || code=$?
      [ -z "$(ls tmp)" ] || echo "left behind: $(ls tmp)"
      \(then)
      exit $code
      """
    return try Program.run("bash", ["-c", setup], directory: "/tmp")
  }

  /// A recording of the corpus, as the emulated host would have left it.
  func played(_ recording: String, _ file: String = "perf.data") -> String {
    Self.recording + "cp \(Corpus.root)/traces/\(recording)/\(file) \"$share/perf.data\"; "
      + Self.done
  }

  func real(_ recording: String) -> [String] {
    ["Image", "\(Corpus.root)/traces/\(recording)/vmlinux.slim.zst"]
  }

  @Test func aCleanKernelPasses() throws {
    let run = try check(
      played("v7-good"), tool: Program.command, options: ["--require", "none"],
      kernel: real("v7-good"),
      then:
        "ls out; cat out/check.json; python3 -c 'import xml.etree.ElementTree as e; e.parse(\"out/check.xml\")'"
    )
    #expect(run.code == 0, "\(run.output)\(run.errors)")
    #expect(run.output.hasPrefix("KTAP version 1\n1..5\nok 1 audit\n"))
    #expect(
      run.output.contains("\n    ok 1 missed-host-save\n"), "the rules are tests of their own")
    #expect(run.output.contains("\nok 5 analyze # clean"))
    #expect(run.output.contains("\n# Image: clean\n"))
    for report in ["analysis.html", "analysis.txt", "analysis.xml", "check.xml", "check.txt"] {
      #expect(run.output.contains("\n\(report)\n"))
    }
    #expect(run.output.contains("\"verdict\": \"passed\""))
    #expect(!run.output.contains("left behind"))
  }

  @Test func aWrongKeySwitchFailsByItsRule() throws {
    let run = try check(
      played("v7-trap-skips-host-save"), tool: Program.command,
      options: ["--exit-code", "bisect"], kernel: real("v7-trap-skips-host-save"))
    #expect(run.code == 1, "\(run.output)\(run.errors)")
    #expect(run.output.contains("not ok 1 missed-host-save"))
    #expect(run.output.contains("\nnot ok 5 analyze # findings: missed-host-save"))
    #expect(run.output.contains("\n# Image: the key switch is wrong (analyze: "))
  }

  /// In a bisection other faults may be older than what is sought.
  @Test func oneRuleAloneMayCount() throws {
    let run = try check(
      "printf 'vm 0 vcpu 0: feature=1 rounds=9 refused=0 failed=0 changed=0 lost=7\\n' > "
        + "\"$share/vmm.0.0.txt\"; echo 1 > \"$share/vmm.0.0.status\"; " + played("v7-good"),
      options: ["--rule", "stale-enable", "--known", "known"],
      before: "echo '{\"schema\": \"ptrauth-trace/known/1\", \"findings\": []}' > known",
      then: "cat words")
    #expect(run.code == 0, "\(run.output)\(run.errors)")
    #expect(run.output.contains("ok 4 workload # SKIP rules count: 7 times a thread"))
    #expect(
      run.output.contains(
        "/perf.data --require stale-enable --rule stale-enable --known known -o "))
  }

  /// A kernel that is not even tried is told from one whose key switch is wrong.
  @Test(arguments: [
    (
      KernelCheckTests.up + "echo 'Kernel panic - not syncing: Attempted to kill init!'",
      "panicked while it booted: Attempted"
    ),
    (
      "echo 'Unable to handle kernel NULL pointer'; echo 'Kernel panic - not syncing: Oops'",
      "panicked while it booted"
    ),
    (
      KernelCheckTests.recording + "echo 'Kernel panic - not syncing: Fatal exception'",
      "panicked while guests ran: Fatal exception"
    ),
    ("sleep 100", "hung while it booted: given up after 1 s, nothing was on its console"),
    (KernelCheckTests.up + "echo 'LAB: no-kvm'; echo 'LAB: done'", "has no /dev/kvm"),
    (KernelCheckTests.up + "echo 'LAB: no-folder'", "CONFIG_NET_9P_VIRTIO"),
    ("", "stopped while it booted without a word"),
  ])
  func aKernelThatCannotBeTriedIsNoFinding(scene: String, words: String) throws {
    let run = try check(scene, options: ["--minutes", "0.02"])
    #expect(run.code == 3, "\(run.output)\(run.errors)")
    #expect(
      run.output.contains(words) && run.output.contains(": the kernel could not be tried ("),
      "\(run.output)")
    #expect(!run.output.contains("left behind"))
  }

  @Test(arguments: [("bisect", 125), ("kselftest", 4)])
  func dialects(dialect: String, code: Int32) throws {
    #expect(try check("", options: ["--exit-code", dialect]).code == code)
  }

  /// What a missed host save looks like on a kernel that signs its own return addresses.
  @Test(arguments: [
    "Unable to handle kernel paging request at virtual address bfff800008123456\n  EC = 0x21: IABT (current EL)",
    "Internal error: Oops - FPAC: 0000000072000000 [#1] SMP",
  ])
  func aPanicAtAnAuthenticationIsAFinding(console: String) throws {
    let run = try check(
      Self.recording
        + "printf '%s\\n' '\(console)' 'Kernel panic - not syncing: Oops: Fatal exception'")
    #expect(run.code == 1, "\(run.output)\(run.errors)")
    #expect(
      run.output.contains("authenticate") && run.output.contains("# record: Kernel panic"),
      "\(run.output)")
    // An address that only looks alike was read from, not branched to: KASAN's shadow lies there.
    let other = try check(
      Self.recording
        + "echo 'Unable to handle kernel paging request at virtual address dfff800000000001';"
        + "echo '  EC = 0x25: DABT (current EL)'; echo 'Kernel panic - not syncing: Oops'")
    #expect(other.code == 3)
  }

  /// What guests and VMMs find for themselves is evidence too; what they were refused without the feature is not.
  @Test func theWorkloadIsAsked() throws {
    let line =
      "vm 0 vcpu 0: feature=%s activity=0x7 rounds=99 refused=%s failed=0 changed=%s lost=%s exits=1 resets=0"
    func scene(_ feature: Int, _ refused: Int, _ changed: Int, _ lost: Int) -> String {
      "printf '\(line)\\n' \(feature) \(refused) \(changed) \(lost) > \"$share/vmm.0.0.txt\"; "
        + "echo 1 > \"$share/vmm.0.0.status\"; " + played("v7-good")
    }
    let lost = try check(scene(1, 0, 3, 2))
    #expect(lost.code == 1)
    #expect(
      lost.output.contains(
        "not ok 4 workload # 3 times a guest found keys that it had not written; 2 times a thread"))
    let refused = try check(scene(0, 7, 9, 0))
    #expect(
      refused.output.contains("ok 4 workload # 1 vCPUs, 99 rounds"),
      "\(refused.output)\(refused.errors)")
  }

  /// A slow machine is given more minutes; its guests need not run longer for it.
  @Test func guestsRunAsLongAsIsAsked() throws {
    let scene = "cat \"$share/load.sh\"; " + Self.recording + Self.done
    func script(_ options: [String]) throws -> String {
      try check(scene, options: options, then: "cat out/console.txt").output
    }
    let usual = try script([])
    #expect(usual.contains("vmm --seconds 5 ") && usual.contains("/out/vmm.3.0.txt"), "\(usual)")
    let short = try script(["--minutes", "12", "--guests", "10"])
    #expect(short.contains("vmm --seconds 5 ") && short.contains("/out/vmm.1.0.txt"), "\(short)")
    #expect(!short.contains("/out/vmm.2.0.txt"))
    for seconds in ["0", "240"] {
      let run = try check("", options: ["--guests", seconds])
      #expect(run.code == 64 && run.errors.contains("--guests is seconds"), "\(run.errors)")
    }
  }

  /// Nothing of the kernel's: the command that brings what is missing, and no revision is blamed or skipped.
  @Test func whatIsMissingIsNamed() throws {
    // Where QEMU is installed the stand-in's absence does not show.
    if (try? Program.run("qemu-system-aarch64", ["--version"])) == nil {
      let run = try check("", options: ["--exit-code", "bisect"], without: "qemu-system-aarch64")
      #expect(
        run.code == 129 && run.errors.contains("apt-get install qemu-system-arm"), "\(run.errors)")
    }
    let old = try check("", kernel: ["--kernel", "fedora"])
    #expect(old.code == 64 && old.errors.contains("only debian[:VERSION]"))
    #expect(try check("", kernel: ["Image"]).code == 64)
    #expect(try check("", kernel: ["Image", "nothing"]).errors.contains("nothing: no such file"))
    #expect(
      try check("", options: ["--baseline", "nothing"]).errors.contains("has no analysis.json"))
    #expect(try check("", kernel: ["--build", "."]).errors.contains("no kernel tree"))
  }

  /// Python's own exit code for a mistake is 1, and would be a word on the kernel.
  @Test func aMistakeOfItsOwnBlamesNoKernel() throws {
    let torn = "while [ \"$1\" != -o ]; do shift; done; echo { > \"$2\""
    let run = try check(
      Self.done, options: ["--exit-code", "bisect"],
      before: "printf '%s\\n' '#!/bin/sh' '\(torn)' > bin/tool")
    #expect(run.code == 129, "\(run.output)\(run.errors)")
    #expect(run.errors.contains("JSONDecodeError"))
  }

  @Test func interruptedItLeavesNothing() throws {
    let run = try check(
      "kill -TERM $PPID; sleep 9", then: "pgrep -f $scratch/bin/qemu || true")
    #expect(run.code == 143, "\(run.output)\(run.errors)")
    #expect(run.output == "", "no process, no file: \(run.output)")
  }

  @Test func pythonAndShellAreClean() throws {
    let lab = Corpus.root + "/traces/lab"
    let compiled = try Program.run(
      "python3",
      [
        "-c", "import ast,glob,sys\nfor p in sys.argv[1:]: ast.parse(open(p).read(), p)",
        Self.script,
        lab + "/check-probes", lab + "/seeds", lab + "/kernel/matrix", lab + "/kernel/v7.py",
        lab + "/kernel/plant", lab + "/truth/prepare", lab + "/truth/qemu.py",
      ])
    #expect(compiled.code == 0, "\(compiled.errors)")
    let lint = try Program.run(
      "sh", ["-c", "shellcheck \(lab)/host/* \(lab)/kernel/prepare"])
    #expect(lint.code == 0, "\(lint.output)")
  }
}
