import ArgumentParser
import FoundationEssentials
import Glibc
import Printing
import Ptrauth
import Replay
import Report
import Testing
import ptrauth_trace

/// What code scanning, GitHub Actions, KCIDB, LAVA and spreadsheets understand of a report.
struct SubmissionFormatTests {
  // MARK: SARIF

  @Test func theSchemaAcceptsSARIF() throws {
    let suites = Documents.suites
    let seen = try Reader.lines("sarif.py", SARIFReport.render(suites, version: "1"))
    // The same rule at the same place is one result, over three recordings of that kernel.
    let missed = seen.filter { $0.hasPrefix("missed-host-save\t") }
    let each = try #require(Documents.faulty.analysis.findings.first).count
    #expect(
      missed == ["missed-host-save\terror\tarch/arm64/kvm/handle_exit.c\t193\t\(2 * each)"])
    let found = Set(suites.flatMap { $0.cases }.filter { !$0.findings.isEmpty }.map(\.rule.id))
    #expect(Set(seen.map { String($0.prefix { $0 != "\t" }) }) == found)
  }

  @Test func withoutALineTheRecordingIsTheLocation() throws {
    var document = Documents.hostile
    document.kernel.sources = [:]
    for path in ["/a b/perf.data", document.recording.path] {
      document.recording.path = path
      let seen = try Reader.lines(
        "sarif.py", SARIFReport.render([TestSuite(document, failOn: .medium)], version: "1"))
      #expect(seen.count == Set(document.analysis.findings.map(\.rule)).count)
      if path.hasPrefix("/") { #expect(seen[0].contains("\tfile:///a%20b/perf.data\t\t")) }
    }
  }

  @Test func anAlertSurvivesOtherLinesAndOtherRecordings() throws {
    var moved = Documents.faulty
    moved.recording.path = "elsewhere/perf.data"
    moved.kernel.sources["missed-host-save"]?.line = 7
    let prints = try [Documents.faulty, moved].map { document in
      try sarif(document).runs[0].results.map(\.partialFingerprints)
    }
    #expect(prints[0] == prints[1] && !prints[0].isEmpty)
  }

  @Test func lossesAndHiddenRulesAreNotifications() throws {
    let incomplete = try sarif(Documents.incomplete(Documents.stock)).runs[0].invocations[0]
    #expect(incomplete.executionSuccessful)
    #expect(
      incomplete.toolExecutionNotifications.count { ["note", "warning"].contains($0.level) }
        == Documents.stock.analysis.notObservable.count {
          Analysis.judgedRules.contains($0.rule)
        })
    #expect(
      incomplete.toolExecutionNotifications.count { $0.level == "warning" }
        == Documents.stock.analysis.criticalNotJudged.count)
    #expect(
      incomplete.toolExecutionNotifications.first { $0.level == "error" }?.message.text
        == "events are missing: 12 events lost (12 on pCPU 1): record with a larger buffer (perf record -m 16M)"
    )
  }

  private func sarif(_ document: Document) throws -> SARIFShape {
    try JSONDecoder().decode(
      SARIFShape.self,
      from: Data(SARIFReport.render([TestSuite(document, failOn: .medium)], version: "1")))
  }

  // MARK: KCIDB

  @Test func kcidbAcceptsTheSubmission() throws {
    let suites = Documents.suites
    let bytes = KCIDBReport(origin: "ptrauth_trace", buildID: nil).render(suites)
    let seen = try Reader.lines("kcidb.py", bytes).map { $0.split(separator: "\t") }
    let tests = suites.flatMap { suite in suite.cases.map { (suite, $0) } }
    try #require(seen.count == tests.count)
    for (line, (suite, test)) in zip(seen, tests) {
      #expect(line[0] == "ptrauth_trace.\(test.rule.id)")
      let isMissing = suite.document?.analysis.verdict ?? .unusable == .unusable
      switch test.result {
      case .failed: #expect(line[1] == "FAIL")
      case .error: #expect(line[1] == (isMissing ? "MISS" : "ERROR"))
      case .skipped: #expect(line[1] == "SKIP")
      case .passed: #expect(line[1] == (test.rule.isCorrectness ? "PASS" : "DONE"))
      }
      #expect((line.count == 3) == (line[1] == "DONE"), "costs have a number")
    }
    let hostile = KCIDBReport(origin: "x", buildID: "y:\u{1}z")
    try Reader.lines("kcidb.py", hostile.render([TestSuite(Documents.hostile, failOn: .low)]))
  }

  @Test func kcidbRefuses() {
    #expect(throws: Reader.Refusal.self) {
      try Reader.lines(
        "kcidb.py", KCIDBReport(origin: "Not An Origin", buildID: nil).render(Documents.suites))
    }
  }

  @Test(arguments: [
    ["--kcidb-origin", ""], ["--kcidb-origin", "A"], ["--kcidb-build-id", "x"],
    ["--kcidb-build-id", ":x"],
  ])
  func badOriginsAreUsage(arguments: [String]) {
    #expect(throws: (any Error).self) { try Analyze.parse(arguments) }
  }

  // MARK: LAVA

  @Test func theDispatcherReadsSignals() throws {
    let words: [TestCase.Result.Kind: String] = [
      .passed: "pass", .failed: "fail", .skipped: "skip", .error: "unknown",
    ]
    for suites in [Documents.suites, [TestSuite(Documents.hostile, failOn: .medium)]] {
      let seen = try Reader.lines("lava.py", LAVAReport.render(suites))
      let expected = suites.flatMap { suite in
        suite.cases.map { "\t\($0.rule.id)\t\(words[$0.result.kind] ?? "")\t" }
      }
      try #require(seen.count == expected.count)
      for (line, words) in zip(seen, expected) { #expect(line.contains(words)) }
    }
    let faulty = try Reader.lines(
      "lava.py", LAVAReport.render([TestSuite(Documents.faulty, failOn: .medium)]))
    #expect(
      faulty[0]
        == "ptrauth-trace\tmissed-host-save\tfail\t356.0\tproved")
  }

  // MARK: GitHub

  /// Annotations as GitHub's runner splits them: a name, properties, a message.
  @Test func annotationsAreOneLineEach() throws {
    let commands = GitHubReport.render([TestSuite(Documents.hostile, failOn: .medium)])
      .split(separator: "\n").filter { $0.hasPrefix("::") }
    let error = try #require(commands.first)
    #expect(
      error.hasPrefix("::error file=a b%2Cc%3Ad%25%0A.c,line=1,title=missed-host-save (critical%2C")
    )
    #expect(error.contains("%0D%0Anot ok 1 missed-host-save"))
    #expect(commands.count { $0.hasPrefix("::error ") } == 1)
    #expect(commands.count { $0.hasPrefix("::warning ") } == 3, "the recording's, and a rule")
    let ranks = ["::error", "::warning", "::notice"]
    let order = commands.compactMap { command in
      ranks.firstIndex { command.hasPrefix($0) }
    }
    #expect(order == order.sorted(), "the worst first: few are shown")
  }

  @Test func lossesAreAnnotatedAsErrors() {
    let text = GitHubReport.render([
      TestSuite(Documents.incomplete(Documents.clean), failOn: .medium),
      TestSuite(unreadable: "x,y", because: "cannot"),
    ])
    #expect(
      text.contains(
        "::error title=cannot judge traces/v7-good/perf.data::events are missing: 12 events"))
    #expect(text.contains("::error title=cannot judge x%2Cy::cannot\n"))
  }

  @Test func theStepSummaryIsAddedTo() throws {
    let path = "/tmp/ptrauth-trace-summary-\(getpid())"
    defer { unsafe unlink(path) }
    Corpus.write(Array("before\n".utf8), to: path)
    let run = try Program.run(
      Program.command, ["analyze", "--format", "github", "traces/v7-good/perf.data"],
      environment: ["GITHUB_STEP_SUMMARY=" + path])
    #expect(run.code == 0)
    let good = try #require(Documents.real.first { $0.recording.path.contains("v7-good") })
    let hidden = good.analysis.notObservable.count { Analysis.judgedRules.contains($0.rule) }
    let doubt =
      "clean, but missed-guest-restore and preemptible-host-save were not judged"
    #expect(
      run.output.hasPrefix(
        "traces/v7-good/perf.data: \(doubt); "
          + "\(hidden) skipped, \(Analysis.judgedRules.count - hidden) passed\n"))
    let summary = String(decoding: Corpus.bytes(path), as: UTF8.self)
    #expect(summary.hasPrefix("before\n### ptrauth-trace\n"))
    #expect(
      summary.contains(
        "| traces/v7-good/perf.data | \(doubt) | 0 | 0 | \(hidden) |"))
  }

  @Test func markdownIsInert() {
    let text = GitHubSummary.render([TestSuite(Documents.hostile, failOn: .medium)])
    #expect(!text.contains("<b>  ") && text.contains("&lt;b&gt;"))
    #expect(text.contains("- a&#35;b,\"c\"/&lt;&amp;&gt;/"))
    #expect(!text.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" })
  }

  // MARK: CSV

  @Test func csvHasARowForEachVCPU() throws {
    let suites = Documents.suites + [TestSuite(Documents.hostile, failOn: .medium)]
    let rows = try Reader.lines("counters.py", CountersCSV.render(suites)).map {
      try JSONDecoder().decode([String: String].self, from: Data($0.utf8))
    }
    let vcpus = suites.flatMap { suite in
      (suite.document?.analysis.vcpus ?? []).map { (suite.path, $0) }
    }
    try #require(rows.count == vcpus.count)
    for (row, (name, vcpu)) in zip(rows, vcpus) {
      // Every record is one line.
      #expect(row["recording"] == ControlCharacters.escaped(name))
      #expect(row["tid"] == String(vcpu.tid))
      #expect(row["runs"] == String(vcpu.counters.runs))
      #expect(row["key_switches"] == String(vcpu.counters.keySwitches))
      #expect(row["key_switches_are_lower_bounds"] == "true")
    }
  }
}

private struct SARIFShape: Decodable {
  struct Message: Decodable { var text: String }
  struct Notification: Decodable {
    var level: String
    var message: Message
  }
  struct Invocation: Decodable {
    var executionSuccessful: Bool
    var toolExecutionNotifications: [Notification]
  }
  struct Result: Decodable { var partialFingerprints: [String: String] }
  struct Run: Decodable {
    var invocations: [Invocation]
    var results: [Result]
  }
  var runs: [Run]
}
