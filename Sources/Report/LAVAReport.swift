import Printing
import Ptrauth
import Replay

/// `--format lava`: the signals that LAVA reads from a device's console, as its lava-test-case and
/// lava-test-set write them. A recording is a test set. What is not judged is `skip`, what should have been
/// and was not is `unknown`, LAVA's word for a test without a result.
public enum LAVAReport {
  public static func render(_ suites: [TestSuite]) -> String {
    var text = ""
    for suite in suites {
      text += "<LAVA_SIGNAL_TESTSET START \(name(suite.name))>\n"
      if let trouble = suite.trouble { text += log(trouble) }
      if let document = suite.document {
        let code = CodeSentence(document.analysis.code)
        text += log("verdict \(VerdictSentence(document.analysis).phrase)")
        if let selection = SelectionSentence(document.analysis) {
          text += log("filtered \(selection.text)")
        }
        text += log("code \(code.text)") + code.warnings.map { log("warning: \($0)") }.joined()
      }
      for test in suite.cases {
        for line in FindingLines.lines(test) { text += log("\(test.rule.id): \(line)") }
        text += "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=\(test.rule.id) RESULT=\(word(test.result))"
        if let (value, unit) = measurement(test) { text += " UNITS=\(unit) MEASUREMENT=\(value)" }
        text += ">\n"
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

  private static func measurement(_ test: TestCase) -> (UInt64, String)? {
    guard let first = test.findings.first else { return nil }
    if let cost = first.cost, cost.accesses > 0 { return (cost.accesses, "register-accesses") }
    return (test.findings.reduce(0) { $0 + $1.count }, "times")
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
