import ArgumentParser
import FoundationEssentials
import Ptrauth
import Replay
import Report
import Testing
import ptrauth_trace

/// What was not judged is said wherever the verdict is, and what is required and was not judged is no pass.
struct RequirementTests {
  private let hidden = "preemptible-host-save"
  private let caveat = "clean, but preemptible-host-save was not judged: "
  private let remedy = "probe kvm_arm_vcpu_ptrauth_trap at its return too"

  private func render(_ document: Document, _ format: ReportFormat) throws -> String {
    if let report = MachineReport(format, try KCIDBOptions.parse([])) {
      return String(
        decoding: report.render([TestSuite(document, failOn: .medium)]), as: UTF8.self)
    }
    return switch format {
    case .json: String(decoding: JSONReport.render(document), as: UTF8.self)
    case .jsonl:
      String(
        decoding: SummaryLines.verdict(
          Summary.Line(path: "x", result: .judged(document.analysis))), as: UTF8.self)
    case .html: String(decoding: HTMLReport.render([.judged(document)]), as: UTF8.self)
    default: TextReport.render(document, style: Style(isColoured: false))
    }
  }

  /// A clean verdict names the critical rule that it does not stand on, in every format.
  @Test(arguments: [
    (ReportFormat.text, "CLEAN, but preemptible-host-save was not judged: "),
    (.json, "\"criticalNotJudged\": [\n    \"preemptible-host-save\"\n  ]"),
    (.json, "\"reason\": \"clean, but preemptible-host-save was not judged: "),
    (.jsonl, "\"criticalNotJudged\":[\"preemptible-host-save\"]"),
    (.ktap, "\n# verdict clean, but preemptible-host-save was not judged: "),
    (.junit, "<property name=\"critical-not-judged\" value=\"preemptible-host-save\"/>"),
    (.sarif, "\"reason\": \"clean, but preemptible-host-save was not judged: "),
    (.github, "v7-good/perf.data: clean, but preemptible-host-save was not judged; "),
    (.github, "::warning title=not judged in traces/v7-good/perf.data::preemptible-host-save: "),
    (.kcidb, "\"verdict\": \"clean, but preemptible-host-save was not judged: "),
    (.lava, "verdict clean, but preemptible-host-save was not judged: "),
    (.html, "<span class=\"word\">CLEAN, but preemptible-host-save was not judged</span>"),
    (.csv, ",preemptible-host-save\r\n"),
  ])
  func theCriticalRuleIsNamed(format: ReportFormat, words: String) throws {
    #expect(try render(Documents.clean, format).contains(words))
    // Where it was judged, nothing is said of it.
    var judged = Documents.clean
    judged.analysis.notObservable.removeAll { $0.rule.id == hidden }
    #expect(try !render(judged, format).contains(words))
  }

  /// A required rule that was not judged is no pass, and what would show it is said.
  @Test(arguments: ReportFormat.allCases.filter { ![.perfetto, .csv, .summary].contains($0) })
  func theRequiredRuleIsNoPass(format: ReportFormat) throws {
    let text = try render(Documents.unfulfilled, format)
    #expect(text.lowercased().contains("cannot judge") && text.contains(remedy))
    #expect(!text.contains("clean, but") && !text.contains("CLEAN"))
  }

  @Test func theFirstLineSaysWhatHelps() throws {
    let document = Documents.unfulfilled
    let first = "CANNOT JUDGE: preemptible-host-save is required and was not judged: " + remedy
    #expect(try render(document, .text).hasPrefix(first))
    #expect(document.analysis.verdict == .cannotJudge)
    let suite = TestSuite(document, failOn: .medium)
    #expect(suite.worst == .error && suite.count(.error) == 1)
    #expect(try render(document, .ktap).contains("# ERROR required and not judged: "))
  }

  @Test func findingsStayFindings() throws {
    let document = Documents.required(Documents.faulty, .critical)
    #expect(document.analysis.verdict == .findings)
    let text = try render(document, .text)
    #expect(
      text.hasPrefix(
        "FINDINGS: missed-host-save (critical, 356 proved); 15 of 17 correctness rules judged; "
          + "preemptible-host-save is required and was not judged: "))
    #expect(Outcome(document.analysis, failOn: .medium) == .findings)
    #expect(Outcome(document.analysis, failOn: nil) == .cannotJudge)
    #expect(
      try render(Documents.faulty, .text)
        .hasPrefix(
          "FINDINGS: missed-host-save (critical, 356 proved); 15 of 17 correctness rules judged; "
            + "preemptible-host-save was not judged\n"))
  }

  /// What a kernel cannot break is fulfilled; named, the report says so.
  @Test func whatCannotHappenIsFulfilled() throws {
    var document = Documents.clean
    let impossible = try #require(document.analysis.notObservable.first { !$0.applies })
    document.analysis.require(Requirement(named: [impossible.rule]))
    #expect(document.analysis.verdict == .clean)
    #expect(
      try render(document, .text).contains(
        "\nrequired   \(impossible.rule.id) cannot be broken here, and is fulfilled: "))
    let whole = Documents.required(Documents.clean, .info).analysis.requiredNotJudged
    #expect(whole.allSatisfy { $0.applies && $0.rule.isCorrectness } && !whole.isEmpty)
  }

  /// A rule that was found broken was judged.
  @Test func whatWasFoundWasJudged() throws {
    var analysis = Documents.faulty.analysis
    let rule = try #require(analysis.findings.first).rule
    analysis.notObservable.append(.init(rule: rule, reason: "r", remedy: "m"))
    analysis.require(Requirement(named: [rule]))
    #expect(analysis.requiredNotJudged.isEmpty)
    #expect(!analysis.criticalNotJudged.contains { $0.rule == rule })
  }

  @Test(arguments: [
    ("missed-host-sav", "did you mean missed-host-save?"), ("critcal", "did you mean critical?"),
    ("stale-enable,", "no rule is named \"\""), ("nothing-like-it", "`ptrauth-trace explain`"),
  ])
  func aRuleThatDoesNotExistIsUsage(names: String, says: String) throws {
    for arguments in [["--require", names, "x"], ["--require=critical", "--require", names]] {
      do {
        _ = try Analyze.parse(arguments)
        Issue.record("accepted")
      } catch {
        #expect(Analyze.exitCode(for: error).rawValue == 64)
        #expect(Analyze.message(for: error).contains(says), "\(Analyze.message(for: error))")
      }
    }
  }

  @Test func theOptionRepeats() throws {
    let several = try Analyze.parse([
      "--require", "stale-enable,missed-host-save", "--require", "critical", "x",
    ]).required.requirement
    #expect(several == Requirement(named: [.staleEnable, .missedHostSave], least: .critical))
    let all = try Analyze.parse(["--require", "all,critical", "x"]).required.requirement
    #expect(all.requires(.bitsDiffer) && !all.requires(.redundantSwitch))
    #expect(try Analyze.parse(["x"]).required.requirement.isEmpty)
  }

  /// The last line of a timeline is the verdict.
  @Test func theTimelineEndsWithTheVerdict() throws {
    let run = try CommandRun([
      "--format", "jsonl", "--require", "critical", Corpus.traces[1].recording,
    ])
    let last = try #require(run.text.split(separator: "\n").last)
    #expect(run.code == 2 && last.hasPrefix("{\"type\":\"verdict\",\"path\":"))
    #expect(last.contains("\"verdict\":\"cannot judge\""))
    #expect(
      last.contains(
        "\"requiredNotJudged\":[\"missed-guest-restore\",\"preemptible-host-save\"]"
      ))
  }

  /// A comparison without a regression is one of what was judged.
  @Test func aComparisonNamesThemToo() throws {
    let hidden =
      "missed-guest-restore and preemptible-host-save were not judged"
    let side = ["compare", "-q", "traces/v7-good/perf.data", "--", "traces/v7-good/perf.data"]
    for (format, words) in [
      // The line is broken behind it.
      ("text", "NO REGRESSION, but missed-guest-restore and preemptible-host-save were\n"),
      ("markdown", "### ptrauth-trace: no regression, but \(hidden)\n"),
      ("html", "NO REGRESSION, but \(hidden)<"),
      (
        "json",
        "\"criticalNotJudged\": [\n    \"missed-guest-restore\",\n    \"preemptible-host-save\"\n  ]"
      ),
    ] {
      let run = try Program.run(Program.command, [side[0], "--format", format] + side[1...])
      #expect(run.code == 0 && run.output.contains(words))
    }
  }
}
