import Testing

/// The items of ../shared/cases as a user meets them: the command of each README, and what comes out right. Where
/// other tests stand for an item, they are named; a case that is in neither list is one that nobody has looked at.
struct CaseTests {
  private static let cases = Corpus.root + "/../shared/cases"
  private static let hasCases = Corpus.exists(cases + "/README.md")

  struct Case: CustomTestStringConvertible, Sendable {
    var name: String
    /// For sh: $C is the folder of the case, $K those of the recorded kernels, $T a folder to write to; `trace` is
    /// the command.
    var script: String
    /// With what the output begins.
    var begins: String
    var code: Int32
    var testDescription: String { name }
  }

  static let all = [
    Case(
      name: "audit-hyp-call",
      script: "xz -dkc $K/deb-6.1/vmlinux.slim.xz > $T/a && python3 $C/make.py $T/a $T/b >&2"
        + " && trace audit --objdump none $T/b",
      begins: "FAIL: 1 of 37 checks: call-out-of-hyp\n", code: 1),
    Case(
      name: "audit-panic-path",
      script: "xz -dkc $K/deb-6.1/vmlinux.slim.xz > $T/a && python3 $C/make.py $T/a $T/b >&2"
        + " && trace audit --objdump none $T/b",
      begins: "FAIL: 1 of 37 checks: missed-host-restore\n", code: 1),
    Case(
      name: "clang-kernels",
      script: "trace audit --objdump none $C/part-c19-6.1.xz", begins: "PASS: ", code: 0),
    Case(
      name: "clang-kernels",
      script: "trace audit --objdump none $C/part-c19lto-6.12-swtags-inline.xz",
      begins: "PASS: ", code: 0),
    Case(
      name: "never-hit-load",
      script: "trace analyze -q -k $K/v7/vmlinux.slim.xz $C/ext.dat.xz",
      begins: "CLEAN, but stale-enable, ", code: 0),
    Case(
      name: "nvhe-copy-without-keys",
      script: "xz -dkc $K/deb-6.1/vmlinux.slim.xz > $T/a"
        + " && python3 $C/nopnvhe.py $T/a $T/b __kvm_nvhe___guest_enter >&2"
        + " && trace audit --objdump none $T/b",
      begins: "FAIL: 1 of 25 checks: missed-guest-restore\n", code: 1),
    Case(
      name: "wrong-btf",
      script: """
        xz -dkc $K/deb-6.1/vmlinux.slim.xz > $T/a && xz -dkc $K/deb-6.12/vmlinux.slim.xz > $T/b &&
        tail -c +$((0x1792590+1)) $T/b | head -c $((0x556648)) > $T/btf &&
        ! trace probes $T/a --for perf --btf $T/btf && trace audit $T/a --btf $T/btf
        """,
      begins: "", code: 2),
  ]

  @Test(.enabled(if: hasCases, "needs ../shared/cases"), arguments: all)
  func comesOutRight(item: Case) throws {
    let run = try Program.run(
      "bash",
      [
        "-c",
        """
        T=$(mktemp -d) C=\(Self.cases)/\(item.name) K=\(Corpus.shared)/kernels
        trap 'rm -r $T' EXIT
        trace() { "$TRACE" "$@"; }
        \(item.script)
        """,
      ], environment: ["TRACE=" + Program.command])
    #expect(run.code == item.code, "\(run.errors)")
    #expect(run.output.hasPrefix(item.begins), "\(run.output.prefix(200)) \(run.errors)")
    if item.name == "wrong-btf" {
      #expect(run.output.isEmpty)
      let lines = run.errors.split(separator: "\n").map(String.init)
      #expect(lines.count == 2 && lines.allSatisfy { $0.contains("is not the BTF of") })
    }
  }

  /// By the tests that have their right values.
  static let elsewhere = [
    "control-characters": "ControlCharacterTests",
    "foreign-scheme": "ForeignRecordingTests",
    "never-hit-sentence": "ObstacleTests",
    "no-event-has-a-time": "ObstacleTests",
    "no-release": "ObstacleTests",
    // Events used: FirstRunTests; systrace's clock and escaped text: PageTextTests; software clocks:
    // ObstacleTests; "event formats": TraceErrorTests; Chrome's JSON and UTF-16: ForeignRecordingTests.
    "small-things": "PageTextTests",
  ]

  @Test(.enabled(if: hasCases, "needs ../shared/cases"))
  func noneIsForgotten() throws {
    let listing = try Program.run("ls", ["-F", Self.cases])
    let folders = listing.output.split(separator: "\n").filter { $0.hasSuffix("/") }
      .map { String($0.dropLast()) }
    #expect(folders.count >= 12)
    for folder in folders {
      #expect(Self.elsewhere[folder] != nil || Self.all.contains { $0.name == folder }, "\(folder)")
    }
  }
}
