import Printing
import Ptrauth
import Replay

/// `--format github`: workflow commands that GitHub Actions shows as annotations, worst first: it shows
/// about ten of each kind a step.
///
///     ::error    failed; or events are missing
///     ::warning  found, and below --fail-on; critical rules that were not judged; warnings of the recording
///     ::notice   what it cost
///
/// Annotations are on the kernel's source where that is known. `summary` has everything.
public enum GitHubReport {
  public static func render(_ suites: [TestSuite]) -> String {
    var errors = ""
    var warnings = ""
    var notices = ""
    var text = ""
    for suite in suites {
      for test in suite.cases where !test.findings.isEmpty {
        switch test.result {
        case .failed: errors += annotation("error", test, in: suite)
        case .skipped where test.isKnown: notices += annotation("notice", test, in: suite)
        case .skipped: warnings += annotation("warning", test, in: suite)
        default: notices += annotation("notice", test, in: suite)
        }
      }
      if let trouble = suite.trouble {
        errors += command("error", [("title", "cannot judge \(suite.path)")], trouble)
      }
      if let document = suite.document, suite.trouble == nil {
        warnings += doubt(document, suite)
      }
      if let selection = suite.document.flatMap({ SelectionSentence($0.analysis) }) {
        warnings += command("warning", [("title", "filtered: \(suite.path)")], selection.text)
      }
      let known = suite.document.map { KnownSentence($0.analysis).gone } ?? []
      for gone in known { notices += command("notice", [("title", "known: \(suite.path)")], gone) }
      let code = suite.document.map { CodeSentence($0.analysis.code).warnings } ?? []
      for warning in code + (suite.document?.recording.warnings ?? []) {
        warnings += command("warning", [("title", suite.path)], warning)
      }
      let verdict = verdict(suite)
      text +=
        "\(plain(suite.path)): \(verdict)\(verdict.contains(",") ? ";" : ",") \(counts(suite))\n"
    }
    return text + errors + warnings + notices
  }

  /// The verdict's word, and the critical rules that it does not stand on.
  static func verdict(_ suite: TestSuite) -> String {
    guard let analysis = suite.document?.analysis else { return "not analysed" }
    return analysis.verdict.word + VerdictSentence(analysis).caveat
  }

  /// What a verdict without trouble does not stand on.
  private static func doubt(_ document: Document, _ suite: TestSuite) -> String {
    let analysis = document.analysis
    if analysis.verdict == .cannotJudge {
      return command(
        "warning", [("title", "cannot judge \(suite.path)")], VerdictSentence(document).rest)
    }
    let hidden = analysis.criticalNotJudged
    guard !hidden.isEmpty else { return "" }
    return command(
      "warning", [("title", "not judged in \(suite.path)")],
      hidden.map { "\($0.rule.id): \($0.reason); \($0.remedy)" }.joined(separator: "\n"))
  }

  static func counts(_ suite: TestSuite) -> String {
    [TestCase.Result.Kind.failed, .error, .skipped, .passed].compactMap { kind in
      let count = suite.count(kind)
      return count == 0 ? nil : "\(count) \(kind.rawValue)"
    }.joined(separator: ", ")
  }

  private static func annotation(_ kind: String, _ test: TestCase, in suite: TestSuite) -> String {
    let first = test.findings.first
    let words =
      test.isKnown
      ? "known: \(test.rule.title)"
      : test.rule.isCorrectness
        ? "\(first?.statement ?? ""). => \(test.rule.consequence). Look at \(test.rule.lookAt)."
        : test.rule.title
    return command(
      kind,
      [
        ("file", test.source?.file), ("line", test.source.map { String($0.line) }),
        ("title", "\(test.rule.id) (\(test.summary ?? ""))"),
      ], "\(suite.path): \(words)")
  }

  private static func command(
    _ kind: String, _ properties: [(String, String?)], _ message: String
  ) -> String {
    let list = properties.compactMap { name, value in
      value.map { "\(name)=\(escaped($0, property: true))" }
    }.joined(separator: ",")
    return "::\(kind) \(list)::\(escaped(message, property: false))\n"
  }

  /// As actions/toolkit's core does: % CR LF, and in properties also : and ,
  static func escaped(_ text: String, property: Bool) -> String {
    var out = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "%": out += "%25"
      case "\r": out += "%0D"
      case "\n": out += "%0A"
      case ":" where property: out += "%3A"
      case "," where property: out += "%2C"
      default: out += ControlCharacters.escaped(String(scalar))
      }
    }
    return out
  }

  /// A line of the log that is no workflow command: neither `::name ::` nor the older `##[name]`.
  private static func plain(_ text: String) -> String {
    ControlCharacters.escaped(text).replacing("::", with: ": :").replacing("##[", with: "## [")
  }
}
