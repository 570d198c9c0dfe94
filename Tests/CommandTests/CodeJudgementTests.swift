import ArgumentParser
import FoundationEssentials
import KernelImage
import Ptrauth
import Replay
import Report
import Testing
import ptrauth_trace

/// The code of the recorded kernel is judged with its recording.
struct CodeJudgementTests {
  private static let good = Corpus.traces[1]
  private static let nop: UInt32 = 0xd503_201f

  struct Fault: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let symbol: String
    let rule: String
    let change: @Sendable ([UInt32]) -> [Int: UInt32]
  }

  /// Missing, swapped, misplaced; and on the way out.
  static let faults = [
    Fault(
      testDescription: "a register is not written", symbol: "__guest_enter", rule: "partial-key-set"
    ) { [$0.keyWrites[9]: nop] },
    Fault(
      testDescription: "LO and HI are swapped", symbol: "__guest_enter", rule: "partial-key-set"
    ) { words in
      let at = words.keyWrites
      return [at[2]: words[at[2]] ^ 0x20, at[3]: words[at[3]] ^ 0x20]
    },
    Fault(
      testDescription: "a pair comes from another slot", symbol: "__guest_enter",
      rule: "partial-key-set"
    ) { words in
      let load = words.keyWrites[2] - 1
      return [load: words[load] & ~(0x7f << 15) | 4 << 15]
    },
    Fault(testDescription: "no isb", symbol: "__guest_exit", rule: "missing-isb") { words in
      [words[(words.keyWrites.last ?? 0)...].firstIndex(of: 0xd503_3fdf) ?? 0: nop]
    },
  ]

  /// A key switch that is broken in code never ends clean, though no event shows it.
  @Test(arguments: faults)
  func aBrokenSwitchIsNeverClean(fault: Fault) throws {
    let vmlinux = try ChangedVmlinux(Self.good.vmlinux, at: fault.symbol, fault.change)
    let run = try CommandRun([
      Self.good.recording, "-k", vmlinux.path, "--format", "json",
    ])
    let report = try JSONDecoder().decode(Shape.self, from: Data(run.output))
    #expect(run.code == 1 && report.verdict == "findings")
    let found = try #require(report.findings.first { $0.level == "static" })
    #expect(found.rule == fault.rule && found.count == 1 && found.first == nil)
    #expect(found.source?.contains("arch/arm64/kvm/hyp/entry.S:") == true)
    #expect(!(found.code ?? []).isEmpty && report.code.failed == 1)
    // It is a finding like others to --fail-on, and can be left out.
    let severity = try #require(Rule(id: fault.rule)).severity
    let above = try CommandRun([
      Self.good.recording, "-k", vmlinux.path, "--fail-on", "critical",
    ])
    #expect(above.code == (severity == .critical ? 1 : 0))
    let below = severity == .critical ? "" : " below --fail-on critical"
    #expect(above.text.hasPrefix("FINDINGS\(below): \(fault.rule) ("))
    let left = try CommandRun([Self.good.recording, "-k", vmlinux.path, "--no-audit"])
    #expect(left.code == 0 && left.text.hasPrefix("CLEAN"))
    #expect(left.text.contains("\ncode       not audited: --no-audit was given\n"))
  }

  /// Every format says it.
  @Test func everyFormatSaysIt() throws {
    let fault = Self.faults[1]
    let vmlinux = try ChangedVmlinux(Self.good.vmlinux, at: fault.symbol, fault.change)
    for (format, words) in [
      ("text", "\npartial-key-set  high, static, in 1 place\n"),
      ("jsonl", "\"verdict\":\"findings\""), ("html", "<span class=\"badge\">static</span>"),
      ("ktap", "partial-key-set # high, 1 static\n"),
      ("junit", "message=\"key switch lacks registers, or pairs them wrongly: high, 1 static\""),
      ("sarif", "\"confidence\": \"static\""),
      ("github", "::error file=arch/arm64/kvm/hyp/entry.S"),
      ("kcidb", "\"confidence\": \"static\""),
      ("lava", "TEST_CASE_ID=partial-key-set RESULT=fail"), ("csv", ",findings,"),
    ] {
      let run = try CommandRun([Self.good.recording, "-k", vmlinux.path, "--format", format])
      #expect(run.code == 1 && run.text.contains(words), "\(format)")
    }
    let compared = try Program.run(
      Program.command,
      [
        "compare", "-q", "--new-vmlinux", vmlinux.path, Self.good.recording, "--",
        Self.good.recording,
      ])
    #expect(compared.code == 1 && compared.output.hasPrefix("REGRESSION: partial-key-set is new\n"))
  }

  /// What no event of a kernel shows is judged by its code, and the report says so.
  @Test func whatOnlyCodeShowsIsJudgedByIt() throws {
    let stock = Documents.stock.analysis
    #expect(
      Set(stock.code.rules.map(\.id)) == [
        "missed-host-save", "missed-guest-restore", "missed-guest-save", "partial-key-set",
        "missing-isb", "call-out-of-hyp",
      ])
    #expect(stock.criticalNotJudged.isEmpty && stock.verdict == .clean)
    #expect(stock.notObservable.contains { $0.rule == .el2KeysMixed && !$0.applies })
    // v7's host save shows in events: its code does not stand in for them.
    #expect(!Documents.clean.analysis.code.rules.contains(.missedHostSave))
    var blind = Documents.clean.analysis
    blind.notObservable.append(.init(rule: .missedHostSave, reason: "r", remedy: "m"))
    blind.take(blind.code)
    #expect(blind.criticalNotJudged.contains { $0.rule == .missedHostSave })
  }

  /// A save that its function can go around is no save: the code does not say that it ran.
  @Test func aSaveThatCanBeSkippedIsNotJudged() throws {
    let stock = Corpus.traces[0]
    let vmlinux = try ChangedVmlinux(stock.vmlinux, at: "kvm_hyp_handle_ptrauth", count: 48) {
      words in
      let save = words.firstIndex { $0 & 0xffff_f000 == 0xd538_2000 } ?? 0
      let sign = words[..<save].lastIndex(of: 0xd503_233f) ?? 0
      let set = words[save...].firstIndex(of: 0xb258_0421) ?? 0
      // PACIASP becomes CBZ X5 to the word that is read before the bits are set in it.
      return [sign: 0xb400_0005 | UInt32(set - 1 - sign) << 5]
    }
    let run = try CommandRun([stock.recording, "-k", vmlinux.path])
    #expect(
      run.code == 0 && run.text.hasPrefix("CLEAN, but missed-host-save was not judged: "))
    #expect(run.text.contains("and saves no key"))
    #expect(
      try CommandRun([stock.recording, "-k", vmlinux.path, "--require", "critical"]).code == 2)
  }

  @Test func withoutAVmlinuxThereIsNoAudit() throws {
    var analysis = Documents.stock.analysis
    analysis = try Session(recording: Corpus.traces[0].recording).replay(timeline: nil)
    analysis.take(CodeJudgement(reason: "no vmlinux; pass the recorded kernel's with -k"))
    let text = CodeSentence(analysis.code).text
    #expect(text == "not audited: no vmlinux; pass the recorded kernel's with -k")
    #expect(analysis.criticalNotJudged.contains { $0.rule == .missedHostSave })
    #expect(analysis.notObservable.contains { $0.rule == .partialKeySet && $0.applies })
  }

  /// A failure in code that nothing shows to have run is said, and is no verdict on the run.
  @Test func codeElsewhereIsSaid() throws {
    var document = Documents.clean
    document.analysis.notObservable.removeAll {
      $0.rule == .preemptibleHostSave || $0.rule == .missedHostRestore
    }
    var audit = try #require(document.analysis.code.audit)
    var check = CodeCheck(
      .hostSave, .fail, at: "some_other_save", "APGAKEYLO_EL1 is missing", rule: .partialKeySet)
    check.part = .elsewhere
    audit.checks.append(check)
    document.analysis.take(CodeJudgement(audit))
    #expect(document.analysis.verdict == .clean)
    #expect(Outcome(document.analysis, failOn: .info) == .findings, "costs")
    #expect(Outcome(document.analysis, failOn: .medium) == .clean)
    let words = "partial-key-set fails in some_other_save, which nothing shows to have run: "
    let text = TextReport.render(document, style: Style(isColoured: false))
    #expect(text.hasPrefix("CLEAN, but " + words))
    let suite = TestSuite(document, failOn: .medium)
    #expect(KTAPReport.render([suite]).contains("\n# verdict clean, but " + words))
    #expect(GitHubReport.render([suite]).contains("::warning title="))
    #expect(suite.cases.first { $0.rule == .partialKeySet }?.result.kind == .passed)
    // The same in the scheme's own code is a finding.
    audit.checks[audit.checks.count - 1].part = .scheme
    document.analysis.take(CodeJudgement(audit))
    #expect(document.analysis.verdict == .findings)
  }

  /// What the audit cannot judge is said, and neither a finding nor judged.
  @Test func whatCannotBeJudgedIsSaid() throws {
    var analysis = try Session(recording: Self.good.recording).replay(timeline: nil)
    var audit = try #require(Documents.clean.analysis.code.audit)
    audit.checks.append(
      CodeCheck(.keySet, .cannotJudge, at: "__guest_enter", "too many paths to follow"))
    analysis.take(CodeJudgement(audit))
    #expect(analysis.verdict == .clean && analysis.findings.allSatisfy { $0.level != .static })
    let hidden = try #require(analysis.notObservable.first { $0.rule == .partialKeySet })
    #expect(hidden.applies && hidden.reason.contains("cannot judge __guest_enter: too many paths"))
    #expect(CodeSentence(analysis.code).text.contains("; 1 cannot be judged: __guest_enter"))
    #expect(analysis.code.rules == [.callOutOfHyp, .missingISB])
    analysis.require(Requirement(named: [.partialKeySet]))
    #expect(analysis.verdict == .cannotJudge)
  }

  /// Tracepoints alone judge nothing, whatever the code says.
  @Test func theCodeAloneIsNoVerdict() throws {
    var document = Documents.blind
    document.analysis.take(Documents.clean.analysis.code)
    #expect(document.analysis.verdict == .cannotJudge)
    #expect(TestSuite(document, failOn: .medium).worst == .skipped)
    let text = TextReport.render(document, style: Style(isColoured: false))
    #expect(text.hasPrefix("CANNOT JUDGE: none of the "))
  }

  /// Recordings with the fault's own code beside the scheme's.
  @Test(.enabled(if: Corpus.hasShared, "needs ../shared"))
  func aFaultsOwnCodeMakesNoVerdict() throws {
    let root = Corpus.root + "/../shared/new-recordings/"
    let run = try CommandRun([
      root + "v7n/good-a/perf.data", "-k", root + "kernels/v7n/vmlinux.slim.xz",
    ])
    #expect(run.code == 0)
    let first = run.text.prefix { $0 != "\n" }
    #expect(
      first.hasPrefix("CLEAN") && first.contains("partial-key-set fails in kvm_variant_trap"))
    // The same build-id, another guest exit.
    let variant =
      Corpus.root + "/../shared/recordings/kernels/v7/code-variants/"
      + "vmlinux.exit-skips-guest-save.slim.xz"
    let other = try CommandRun([Self.good.recording, "-k", variant])
    #expect(other.code == 1 && other.text.contains("\nmissed-guest-save  high, static, in 1 place"))
  }

  /// One kernel is audited once, whatever the number of recordings; one with the same build-id and other
  /// code is another.
  @Test func theAuditIsOfTheFile() throws {
    let fault = Self.faults[0]
    let vmlinux = try ChangedVmlinux(Self.good.vmlinux, at: fault.symbol, fault.change)
    let images = try [Self.good.vmlinux, vmlinux.path].map { try KernelImage(path: $0) }
    #expect(images[0].buildID == images[1].buildID)
    let verdicts = try [Self.good.vmlinux, vmlinux.path, Self.good.vmlinux].map {
      try CommandRun([Self.good.recording, "-k", $0]).code
    }
    #expect(verdicts == [0, 1, 0])
  }
}

private struct Shape: Decodable {
  struct Finding: Decodable {
    struct Line: Decodable { var address: String }
    var rule: String
    var level: String
    var count: Int
    var first: UInt64?
    var source: String?
    var code: [Line]?
  }
  struct Code: Decodable { var failed: Int }
  var verdict: String
  var findings: [Finding]
  var code: Code
}
