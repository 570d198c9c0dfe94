import Printing
import Ptrauth
import Replay

/// `--format ktap`: KTAP version 1 (the kernel's Documentation/dev-tools/ktap.rst). A recording is a
/// test, a rule a subtest; what was found comes as diagnostic lines before the result.
///
///     ok      passed; or not judged: # SKIP and what would show it
///     not ok  failed; or # ERROR where events are missing, or a required rule was not judged
///
/// A recording of which every correctness rule was skipped is skipped.
public enum KTAPReport {
  public static func render(_ suites: [TestSuite]) -> String {
    var text = "KTAP version 1\n1..\(suites.count)\n"
    for (number, suite) in suites.enumerated() { render(suite, number + 1, &text) }
    return text
  }

  private static func render(_ suite: TestSuite, _ number: Int, _ text: inout String) {
    let name = name(suite.name)
    text += "  KTAP version 1\n  # Subtest: \(name)\n  1..\(suite.cases.count)\n"
    for (index, test) in suite.cases.enumerated() {
      for line in FindingLines.lines(test) {
        text += "  # \(test.rule.id): \(ControlCharacters.escaped(line))\n"
      }
      let (word, data) = result(test)
      text +=
        "  \(word) \(index + 1) \(test.rule.id)\(data.map { " # \(ControlCharacters.escaped($0))" } ?? "")\n"
    }
    for line in facts(suite) { text += "# \(ControlCharacters.escaped(line))\n" }
    switch suite.worst {
    case .passed: text += "ok \(number) \(name)\n"
    case .skipped: text += "ok \(number) \(name) # SKIP no correctness rule can be judged here\n"
    case .failed: text += "not ok \(number) \(name)\n"
    case .error:
      text +=
        "not ok \(number) \(name) # ERROR \(ControlCharacters.escaped(suite.trouble ?? "not judged"))\n"
    }
  }

  private static func result(_ test: TestCase) -> (word: String, data: String?) {
    switch test.result {
    case .passed: ("ok", test.summary)
    case .failed: ("not ok", test.summary)
    case .skipped(let why): ("ok", "SKIP " + why)
    case .error(let why): ("not ok", "ERROR " + why)
    }
  }

  private static func facts(_ suite: TestSuite) -> [String] {
    guard let document = suite.document else { return ["recording \(suite.path)"] }
    let kernel = document.kernel
    return [
      "recording \(suite.path)",
      "verdict \(VerdictSentence(document.analysis).phrase)",
      "kernel \(document.recording.osRelease ?? "?"), build-id "
        + (kernel.recordedBuildID ?? kernel.buildID ?? "unknown"),
      "scheme \(kernel.generation?.name ?? "unknown"), from \(kernel.generationBasis)",
      "code \(CodeSentence(document.analysis.code).text)",
    ] + (SelectionSentence(document.analysis).map { ["filtered \($0.text)"] } ?? [])
      + KnownSentence(document.analysis).lines
      + CodeSentence(document.analysis.code).warnings.map { "warning: \($0)" }
      + document.recording.warnings.map { "warning: \($0)" }
  }

  /// A description cannot contain '#', and "- " in front would be taken for punctuation.
  private static func name(_ text: String) -> String {
    let name = ControlCharacters.escaped(text).replacing("#", with: "_")
    return name.hasPrefix("- ") ? "_" + name.dropFirst() : name
  }
}
