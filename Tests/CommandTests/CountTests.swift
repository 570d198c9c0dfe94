import ArgumentParser
import Ptrauth
import Replay
import Report
import Testing
import ptrauth_trace

/// The numbers of a rule mean the same in every format, and the verdict says what the exit code says.
struct CountTests {
  /// 356 proved, and 2 suspected beside them.
  private static var mixed: Document {
    var document = Documents.faulty
    guard let first = document.analysis.findings.first else { return document }
    var weaker = first
    weaker.level = .suspected
    weaker.count = 2
    weaker.vcpus = []
    document.analysis.findings.insert(weaker, at: 1)
    return document
  }

  private static func render(
    _ document: Document, _ format: ReportFormat, failOn: Rule.Severity? = .medium
  ) throws -> String {
    var document = document
    document.analysis.failOn = failOn
    if let report = MachineReport(format, try KCIDBOptions.parse([])) {
      return String(
        decoding: report.render([TestSuite(document, failOn: failOn)]), as: UTF8.self)
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

  @Test(arguments: [
    (ReportFormat.text, "FINDINGS: missed-host-save (critical, 356 proved, 2 suspected); "),
    (.html, "missed-host-save (critical, 356 proved, 2 suspected); "),
    (.json, "findings: missed-host-save (critical, 356 proved, 2 suspected); "),
    (.jsonl, "findings: missed-host-save (critical, 356 proved, 2 suspected); "),
    (.ktap, "\n  not ok 1 missed-host-save # critical, 356 proved on 3 vCPUs, 2 suspected\n"),
    (.junit, ": critical, 356 proved on 3 vCPUs, 2 suspected\" type=\"critical\""),
    (.github, "title=missed-host-save (critical%2C 356 proved on 3 vCPUs%2C 2 suspected)"),
    (.sarif, "\"counts\": {\n              \"proved\": 356,\n              \"suspected\": 2\n"),
    (.sarif, " 356 proved, 2 suspected, in traces/"),
    (.kcidb, "\"counts\": {\n          \"proved\": 356,\n          \"suspected\": 2\n"),
    (.lava, "TEST_CASE_ID=missed-host-save RESULT=fail UNITS=proved MEASUREMENT=356>"),
    (.lava, "TEST_CASE_ID=missed-host-save.suspected RESULT=fail UNITS=suspected MEASUREMENT=2>"),
  ])
  func provedAndSuspectedAreApart(format: ReportFormat, words: String) throws {
    #expect(try Self.render(Self.mixed, format).contains(words))
    #expect(try !Self.render(Documents.faulty, format).contains("2 suspected"))
  }

  @Test func howManyRulesWereJudgedIsSaid() throws {
    let first = try #require(
      try Self.render(Documents.faulty, .text).split(separator: "\n").first)
    let (judged, all) = (
      Documents.faulty.analysis.judged.count, Documents.faulty.analysis.breakable.count
    )
    #expect(first.contains("; \(judged) of \(all) correctness rules judged; ") && judged < all)
    #expect(
      try Self.render(Documents.incomplete(Documents.faulty), .text).split(separator: "\n").first?
        .contains("; events are missing; ") == true)
  }

  /// What does not fail is not said as if it did: `ok` is 0, `not ok` is 1.
  @Test(arguments: ReportFormat.allCases.filter { ![.perfetto, .csv, .summary].contains($0) })
  func belowFailOnIsSaid(format: ReportFormat) throws {
    let analysis = Documents.faulty.analysis
    #expect(Outcome(analysis) == .findings)
    var lenient = Documents.faulty
    lenient.analysis.findings[0].rule.severity = .high
    lenient.analysis.failOn = .critical
    #expect(Outcome(lenient.analysis) == .clean)
    let text = try Self.render(lenient, format, failOn: .critical)
    #expect(text.lowercased().contains("findings below --fail-on critical"))
    #expect(try !Self.render(Documents.faulty, format).contains("below --fail-on"))
    if format == .ktap { #expect(text.contains("\nok 1 ") && !text.contains("not ok")) }
    let never = try Self.render(Documents.faulty, format, failOn: nil)
    #expect(never.lowercased().contains("findings, which --fail-on none lets pass"))
  }

  /// A cost that fails is no clean pass.
  @Test func aCostThatFailsIsSaid() throws {
    var document = Documents.faulty
    document.analysis.findings.removeAll(where: \.rule.isCorrectness)
    document.analysis.verdict = .clean
    document.analysis.failOn = .info
    #expect(Outcome(document.analysis) == .findings)
    let text = try Self.render(document, .text, failOn: .info)
    #expect(
      text.hasPrefix("CLEAN, but preemptible-host-save was not judged, but redundant-switch, "))
    #expect(text.contains(" are at or above --fail-on info: "))
    #expect(try !Self.render(document, .text).contains("--fail-on"))
    let words = try Self.render(document, .ktap, failOn: .info)
    #expect(words.contains("\nnot ok 1 "))
    let one =
      Dictionary(
        grouping: document.analysis.findings, by: \.rule.id)["redundant-switch"]?.first?.count ?? 0
    #expect(words.contains(" redundant-switch # \(one) proved, "))
  }

  /// What may only seem broken, as events are missing, fails no test: the exit code is not 1.
  @Test func whatMayOnlySeemBrokenFailsNoTest() throws {
    var document = Documents.incomplete(Documents.faulty)
    document.analysis.findings[0].level = .suspected
    document.analysis.verdict = .incomplete
    #expect(Outcome(document.analysis) == .cannotJudge)
    let suite = TestSuite(document, failOn: .medium)
    #expect(suite.count(.failed) == 0 && suite.worst == .error)
  }
}
