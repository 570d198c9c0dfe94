import Ptrauth
import Replay
import Report
import Testing
import ptrauth_trace

/// What CI systems understand of a report, asked from their own readers.
struct MachineFormatTests {
  // MARK: what a case is

  @Test func aLossIsNeverAPass() throws {
    for document in [Documents.incomplete(Documents.clean), Documents.unusable] {
      let suite = TestSuite(document, failOn: .medium)
      #expect(suite.count(.passed) == 0 && suite.count(.failed) == 0 && suite.count(.error) > 0)
      #expect(suite.worst == .error)
    }
    let faulty = TestSuite(Documents.incomplete(Documents.faulty), failOn: .medium)
    #expect(faulty.count(.passed) == 0 && faulty.count(.failed) == 1)
    let unreadable = TestSuite(unreadable: "x", because: "y")
    #expect(unreadable.count(.error) == unreadable.cases.count && !unreadable.cases.isEmpty)
  }

  @Test func whatIsNotObservableIsSkippedWithItsRemedy() throws {
    let suite = TestSuite(Documents.stock, failOn: .medium)
    #expect(!Documents.stock.analysis.notObservable.isEmpty)
    for hidden in Documents.stock.analysis.notObservable
    where Analysis.judgedRules.contains(hidden.rule) {
      let test = try #require(suite.cases.first { $0.rule.id == hidden.rule.id })
      #expect(test.result.kind == .skipped)
      let words =
        hidden.applies
        ? "\(hidden.reason); \(hidden.remedy)" : "cannot happen here: \(hidden.reason)"
      #expect(test.result.reason == words)
    }
  }

  /// Failures and the exit code 1 are the same thing, errors without failures and 2 as well.
  @Test(arguments: [Rule.Severity.info, .low, .medium, .high, .critical, nil])
  func suitesAgreeWithTheExitCode(failOn: Rule.Severity?) {
    for document in [
      Documents.stock, Documents.clean, Documents.faulty, Documents.incomplete(Documents.faulty),
      Documents.incomplete(Documents.clean), Documents.blind, Documents.unusable,
      Documents.unfulfilled, Documents.required(Documents.faulty, .critical),
    ] {
      let suite = TestSuite(document, failOn: failOn)
      let expected: Outcome =
        switch suite.worst {
        case .failed: .findings
        case .error, .skipped: .cannotJudge
        case .passed: .clean
        }
      #expect(Outcome(document.analysis, failOn: failOn) == expected)
    }
  }

  /// Not one correctness rule judged is no pass, whatever the costs: the first line says so, the exit code,
  /// and every format.
  @Test func nothingJudgedIsNoPass() throws {
    let suite = TestSuite(Documents.blind, failOn: .medium)
    #expect(suite.worst == .skipped && suite.count(.passed) > 0 && suite.count(.error) == 0)
    let rules = suite.cases.filter(\.rule.isCorrectness)
    #expect(rules.allSatisfy { $0.result.kind == .skipped })
    #expect(Outcome(Documents.blind.analysis, failOn: .medium) == .cannotJudge)
    let count = "none of the \(rules.count) correctness rules can be judged"
    let text = TextReport.render(Documents.blind, style: Style(isColoured: false))
    #expect(text.hasPrefix("CANNOT JUDGE: \(count)"))
    #expect(KTAPReport.render([suite]).contains("# SKIP no correctness rule can be judged here\n"))
    let github = GitHubReport.render([suite])
    #expect(github.contains("::warning title=cannot judge ") && github.contains(count))
    #expect(!github.contains("::error"))
  }

  /// A rule that was found broken and is not to fail is no pass.
  @Test func whatIsBelowTheThresholdIsNoPass() {
    let suite = TestSuite(Documents.faulty, failOn: nil)
    #expect(suite.cases.first { $0.rule == .missedHostSave }?.result.kind == .skipped)
    #expect(suite.cases.first { $0.rule == .redundantSwitch }?.result.kind == .passed)
  }

  // MARK: KTAP

  @Test func theKernelsParserReadsKTAP() throws {
    let seen = try Reader.lines("ktap.py", KTAPReport.render(Documents.suites))
    var expected: [String] = []
    for suite in Documents.suites {
      for test in suite.cases {
        expected.append("\(suite.name)\t\(test.rule.id)\t\(kunit(test.result.kind))")
      }
      expected.append("\(suite.name)\t\t\(kunit(suite.worst))")
    }
    #expect(seen == expected + ["\t\tFAILURE"])
  }

  @Test func hostileNamesLeaveKTAPWhole() throws {
    let suites = [TestSuite(Documents.hostile, failOn: .medium)]
    let seen = try Reader.lines("ktap.py", KTAPReport.render(suites))
    #expect(seen.count == suites[0].cases.count + 2)
    #expect(seen.count { $0.hasSuffix("\tFAILURE") } == 3, "one rule, its suite, and all")
  }

  /// The parser has a say: it complains of a wrong number and a missing result.
  @Test func theKernelsParserRefuses() throws {
    let text = KTAPReport.render([TestSuite(Documents.clean, failOn: .medium)])
    for broken in [
      text.replacing("ok 3 ", with: "ok 4 "), text.replacing("  ok 3 ", with: "  # "),
    ] {
      #expect(broken != text)
      #expect(throws: Reader.Refusal.self) { try Reader.lines("ktap.py", broken) }
    }
  }

  /// kunit_parser knows no ERROR: `not ok` is a failure to it.
  private func kunit(_ kind: TestCase.Result.Kind) -> String {
    switch kind {
    case .passed: "SUCCESS"
    case .failed, .error: "FAILURE"
    case .skipped: "SKIPPED"
    }
  }

  // MARK: JUnit

  @Test func junitparserReadsJUnit() throws {
    let seen = try Reader.lines("junit.py", JUnitReport.render(Documents.suites))
    #expect(
      seen
        == Documents.suites.flatMap { suite in
          suite.cases.map { "\(suite.name)\t\($0.rule.id)\t\($0.result.kind.rawValue)" }
        })
  }

  @Test func hostileNamesLeaveXMLWhole() throws {
    let suites = [TestSuite(Documents.hostile, failOn: .medium)]
    let text = JUnitReport.render(suites)
    #expect(!text.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" && $0 != "\t" })
    #expect(text.contains("\\x1b[31m\\x00"))
    #expect(try Reader.lines("junit.py", text).count { $0.hasSuffix("\tfailed") } == 1)
  }
}
