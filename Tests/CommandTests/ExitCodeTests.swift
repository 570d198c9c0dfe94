import ArgumentParser
import Glibc
import Testing
import ptrauth_trace

/// Exit codes of the process itself, in every dialect.
struct ExitCodeTests {
  private func code(_ arguments: [String]) throws -> Int32 {
    try Program.run(Program.command, arguments).code
  }

  @Test(arguments: ["info", "analyze"])
  func usageIs64(command: String) throws {
    let run = try Program.run(Program.command, [command, "--nonsense"])
    #expect(run.code == 64 && run.output.isEmpty)
    #expect(run.errors.hasPrefix("Error: Unknown option '--nonsense'"))
  }

  @Test func helpAndVersionAreResults() throws {
    for arguments in [["--help"], ["analyze", "--help"], ["--version"], ["help", "info"]] {
      let run = try Program.run(Program.command, arguments)
      #expect(run.code == 0 && run.errors.isEmpty && !run.output.isEmpty)
    }
  }

  /// git-bisect(1): 125 skips a commit, 128 to 255 stop, everything else but 0 is "bad".
  @Test(arguments: [
    ["analyze", "--exit-code", "bisect", "--nonsense"],
    ["analyze", "--exit-code=bisect", "--format", "nonsense"],
    ["analyze", "--fail-on", "nonsense", "--exit-code", "bisect"],
    ["analyze", "a", "-i", "b", "--exit-code", "bisect"],
    ["--exit-code", "bisect", "analyze"], ["nonsense", "--exit-code", "bisect"],
    ["info", "--exit-code", "bisect", "traces/v7-good/perf.data"],
    // Whoever misspells the dialect is under another's as well.
    ["analyze", "--exit-code", "bisekt", "traces/v7-good/perf.data"], ["analyze", "--exit-code"],
  ])
  func usageStopsABisection(arguments: [String]) throws {
    #expect(try code(arguments) == 129)
  }

  @Test func dialects() throws {
    let missing = "/nonexistent/perf.data"
    let faulty = "traces/v7-trap-skips-host-save/perf.data"
    for (dialect, clean, findings, cannotJudge, usage): (String, Int32, Int32, Int32, Int32) in [
      ("standard", 0, 1, 2, 64), ("bisect", 0, 1, 125, 129), ("kselftest", 0, 1, 4, 64),
    ] {
      let option = ["analyze", "--exit-code", dialect, "-q", "-o", "/dev/null"]
      #expect(try code(option + ["traces/v7-good/perf.data"]) == clean)
      #expect(try code(option + [faulty]) == findings)
      #expect(try code(option + [missing]) == cannotJudge)
      #expect(try code(option + [faulty, "-k", "README.md"]) == cannotJudge)
      let good = "traces/v7-good/perf.data"
      #expect(try code(option + ["--require", "missed-host-save", good]) == clean)
      #expect(try code(option + ["--require", "critical", good]) == cannotJudge)
      #expect(try code(option + ["--require", "critical", faulty]) == findings)
      #expect(
        try code(option + ["--require", "critical", "--fail-on", "none", faulty]) == cannotJudge)
      #expect(try code(option + ["--require", "missed-host-sav", good]) == usage)
      #expect(try code(option + ["--nonsense"]) == usage)
      let audit = ["audit", "--exit-code", dialect, "-q", "-o", "/dev/null", "--objdump", "none"]
      #expect(try code(audit + ["traces/v7-good/vmlinux.slim.zst"]) == clean)
      #expect(try code(audit + ["README.md"]) == cannotJudge)
      #expect(try code(audit + ["--nonsense"]) == usage)
      let compare = ["compare", "--exit-code", dialect, "-q", "-o", "/dev/null"]
      #expect(try code(compare + ["traces/v7-good/perf.data", "--", faulty]) == findings)
      #expect(try code(compare + [faulty, "--", "traces/v7-good/perf.data"]) == clean)
      #expect(try code(compare + [faulty, "--", missing]) == cannotJudge)
      let required = compare + ["--require"]
      #expect(try code(required + ["critical", faulty, "--", good]) == cannotJudge)
      #expect(try code(required + ["missed-host-save", faulty, "--", good]) == clean)
      #expect(try code(required + ["critical", good, "--", faulty]) == findings)
      #expect(try code(required + ["nonsense", good, "--", faulty]) == usage)
      #expect(try code(compare + [faulty]) == usage)
    }
    #expect(try code(["analyze", "--exit-code", "bisect", faulty, "-o", "/dev/full"]) == 125)
    #expect(ExitDialect.standard.internalError.rawValue == 70)
    #expect(ExitDialect.bisect.internalError.rawValue == 125)
  }

  /// What belongs to a workload is not ours.
  @Test func theDialectEndsAtTheTerminator() {
    #expect(ExitDialect(askedForIn: ["record", "--", "x", "--exit-code", "bisect"]) == .standard)
    #expect(ExitDialect(askedForIn: ["--exit-code=kselftest"]) == .kselftest)
    #expect(ExitDialect(askedForIn: []) == .standard)
  }

  /// git itself: a usage error stops, an unreadable recording skips, and no commit is blamed.
  @Test func gitBlamesNobody() throws {
    let script = """
      set -eu
      cd "$(mktemp -d /tmp/ptrauth-trace-bisect.XXXXXX)"
      trap 'rm -rf "$PWD"' EXIT
      export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
      git init -q -b main .
      for n in 1 2 3 4 5 6; do
        git -c user.name=t -c user.email=t@t commit -q --allow-empty -m "$n"
      done
      git bisect start HEAD HEAD~5 >/dev/null
      git bisect run "$@" 2>&1 || echo "ended with $?"
      """
    let stopped = try Program.run(
      "bash", ["-c", script, "bash", Program.command, "analyze", "--exit-code", "bisect", "--no"])
    #expect(stopped.output.contains("exit code 129"))
    #expect(!stopped.output.contains("is the first bad commit"))
    let skipped = try Program.run(
      "bash",
      ["-c", script, "bash", Program.command, "analyze", "--exit-code", "bisect", "perf.data"])
    #expect(skipped.output.contains("only 'skip'ped commits left"))
    #expect(!skipped.output.contains("is the first bad commit"))
    // The check can fail: without the dialect git does blame one.
    let blamed = try Program.run(
      "bash", ["-c", script, "bash", Program.command, "analyze", "--no"])
    #expect(blamed.output.contains("is the first bad commit"))
  }

  /// Whoever starts us may ignore SIGPIPE (Python, CI runners): `| head` still ends us without a word.
  @Test func aReaderThatLeavesEndsUsQuietly() throws {
    for setup in ["", "trap '' PIPE; "] {
      let run = try Program.run(
        "bash",
        [
          "-c",
          setup + "\"$0\" analyze --format jsonl traces/v7-good/perf.data | head -1 >/dev/null; "
            + "echo ${PIPESTATUS[0]}", Program.command,
        ])
      #expect(run.output == "141\n" && run.errors.isEmpty)
    }
  }
}
