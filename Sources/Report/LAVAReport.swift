import Printing
import Ptrauth
import Replay

/// `--format lava`: the signals that LAVA reads from a device's console, as its lava-test-case and
/// lava-test-set write them. A recording is a test set. What is not judged is `skip`, what should have been
/// and was not is `unknown`, LAVA's word for a test without a result. What was found at a second, weaker level is a test case
/// of its own behind it: "bits-differ.suspected".
public enum LAVAReport {
  public static func render(_ suites: [TestSuite]) -> String {
    var text = ""
    for suite in suites {
      text += "<LAVA_SIGNAL_TESTSET START \(name(suite.name))>\n"
      text += log("recording \(suite.path)")
      if let trouble = suite.trouble { text += log(trouble) }
      if let document = suite.document {
        let code = CodeSentence(document.analysis.code)
        text += log("verdict \(VerdictSentence(document.analysis).phrase)")
        if let selection = SelectionSentence(document.analysis) {
          text += log("filtered \(selection.text)")
        }
        text += KnownSentence(document.analysis).lines.map(log).joined()
        text += log("code \(code.text)") + code.warnings.map { log("warning: \($0)") }.joined()
      }
      for test in suite.cases {
        for line in FindingLines.lines(test) { text += log("\(test.rule.id): \(line)") }
        text += signal(test.rule.id, test, test.findings.first)
        // A measurement is of one level: 2 suspected are not 2 more proved.
        for weaker in test.findings.dropFirst() {
          text += signal("\(test.rule.id).\(weaker.level.word)", test, weaker)
        }
      }
      text += "<LAVA_SIGNAL_TESTSET STOP>\n"
    }
    return text
  }

  private static func word(_ result: TestCase.Result) -> String {
    switch result {
    case .passed: "pass"
    case .failed: "fail"
    case .skipped: "skip"
    case .error: "unknown"
    }
  }

  private static func signal(_ name: String, _ test: TestCase, _ finding: Finding?) -> String {
    var text = "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=\(name) RESULT=\(word(test.result))"
    if let finding {
      let accesses = finding.cost?.accesses ?? 0
      text +=
        accesses > 0
        ? " UNITS=register-accesses MEASUREMENT=\(accesses)"
        : " UNITS=\(finding.level.word) MEASUREMENT=\(finding.count)"
    }
    return text + ">\n"
  }

  /// Parameters are split at spaces, and end at ">".
  private static func name(_ text: String) -> String {
    String(text.map { $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) ? $0 : "_" })
  }

  /// A line of the log that is no signal.
  private static func log(_ line: String) -> String {
    ControlCharacters.escaped(line).replacing("<LAVA_", with: "< LAVA_") + "\n"
  }
}
