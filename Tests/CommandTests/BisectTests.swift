import Glibc
import Testing

/// `git bisect run` over a toy tree in which every revision stands for a recording.
struct BisectTests {
  static let script = Corpus.root + "/traces/bisect/bisect-run"

  /// A repository of `count` revisions; those in `unbuildable` record nothing. Returns its path.
  private func repository(
    count: Int, fault: Int, unbuildable: Set<Int>, good: String = "v7-good"
  ) throws -> String {
    let path = "/tmp/ptrauth-trace-bisect-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    var script = """
      set -e
      mkdir \(path)
      cd \(path)
      git init -q
      git config user.name tests
      git config user.email tests@localhost
      git config commit.gpgsign false

      """
    for number in 1...count {
      let recording = number < fault ? good : "v7-trap-skips-host-save"
      script += """
        echo \(unbuildable.contains(number) ? "broken" : recording) > recording
        echo \(number) > number
        git add . && git commit -qm 'revision \(number)'
        git tag r\(number)

        """
    }
    script += """
      cat > ../$(basename \(path)).record <<'EOF'
      #!/bin/sh
      set -e
      from=\(Corpus.root)/traces/$(cat recording)
      cp "$from/vmlinux.slim.zst" "$OUT/vmlinux"
      cp "$from/perf.data" "$OUT/perf.data"
      EOF
      chmod +x ../$(basename \(path)).record
      """
    let made = try Program.run("sh", ["-c", script])
    try #require(made.code == 0, "\(made.errors)")
    return path
  }

  @Test func theFaultIsFound() throws {
    // Every critical rule of this one is judged.
    let path = try repository(count: 8, fault: 5, unbuildable: [6], good: "deb-6.1-good")
    defer { _ = try? Program.run("rm", ["-rf", path, path + ".record"]) }
    let ran = try Program.run(
      "sh",
      [
        "-c",
        "git bisect start r8 r1 && git bisect run \(Self.script) -- \(path).record && echo "
          + "&& git describe --tags refs/bisect/bad",
      ],
      directory: path, environment: ["PTRAUTH_TRACE=" + Program.command])
    #expect(ran.code == 0, "\(ran.errors)")
    #expect(ran.output.split(separator: "\n").last == "r5")
  }

  /// A rule that the fault does not break leads nowhere: every revision is good.
  @Test func anotherRuleIsNotBlamed() throws {
    let path = try repository(count: 1, fault: 1, unbuildable: [])
    defer { _ = try? Program.run("rm", ["-rf", path, path + ".record"]) }
    let base = Corpus.root + "/traces/v7-good/perf.data"
    for (options, code) in [
      (["--rule", "stale-enable"], 0), (["--rule", "missed-host-save"], 1),
      // The kernel cannot break it; it can, and the recording does not show it.
      (["--rule", "nested-bits-differ"], 0), (["--rule", "preemptible-host-save"], 125),
      (["--rule", "stale-enable", "--require", "critical"], 125),
      (["--rule", "missed-host-save", "--require", "critical"], 1),
      (["--rule", "no-such-rule"], 128), (["--base", base], 1),
      (["--base", "/nonexistent"], 128), (["--base", base, "--fail-if", "nonsense>1"], 128),
    ] {
      let ran = try Program.run(
        Self.script, options + ["--", path + ".record"], directory: path,
        environment: ["PTRAUTH_TRACE=" + Program.command])
      #expect(ran.code == Int32(code), "\(options)")
    }
  }

  /// Good is what was judged: a revision of which a critical rule was not is skipped.
  @Test func whatWasNotJudgedIsNotGood() throws {
    let path = try repository(count: 1, fault: 2, unbuildable: [])
    defer { _ = try? Program.run("rm", ["-rf", path, path + ".record"]) }
    let base = Corpus.root + "/traces/v7-good/perf.data"
    for (options, code) in [
      ([], 125), (["--require", "missed-host-save,stale-enable"], 0), (["--require", "all"], 125),
      (["--base", base], 125), (["--base", base, "--require", "missed-host-save"], 0),
    ] {
      let ran = try Program.run(
        Self.script, options + ["--", path + ".record"], directory: path,
        environment: ["PTRAUTH_TRACE=" + Program.command])
      #expect(ran.code == Int32(code), "\(options) \(ran.errors)")
    }
  }

  /// A mistake stops the bisection: it is no verdict on a revision.
  @Test(arguments: [
    [], ["--nonsense", "--", "true"], ["--tries", "x", "--", "true"],
    ["--rule", "a", "--base", "b", "--", "true"], ["--rule", "missed-host-sav", "--", "true"],
    ["--require", "critical,nonsense", "--", "true"],
    ["--require", "", "--rule", "x", "--", "true"],
  ])
  func mistakesStop(arguments: [String]) throws {
    let ran = try Program.run(
      Self.script, arguments, environment: ["PTRAUTH_TRACE=" + Program.command])
    #expect(ran.code == 128)
    let without = try Program.run(
      Self.script, ["--", "true"], environment: ["PTRAUTH_TRACE=/nonexistent"])
    #expect(without.code == 128)
  }
}
