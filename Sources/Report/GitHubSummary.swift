import Printing
import Ptrauth
import Replay

/// The step summary of `--format github`, GitHub-flavoured Markdown: every recording, every finding.
public enum GitHubSummary {
  public static func render(_ suites: [TestSuite]) -> String {
    var text = "### ptrauth-trace\n\n| recording | verdict | failed | error | skipped | passed |\n"
    text += "| --- | --- | --: | --: | --: | --: |\n"
    for suite in suites {
      text += "| \(cell(suite.path)) | \(GitHubReport.verdict(suite)) "
      for kind in [TestCase.Result.Kind.failed, .error, .skipped, .passed] {
        text += "| \(suite.count(kind)) "
      }
      text += "|\n"
    }
    for suite in suites { section(suite, &text) }
    return text + "\n"
  }

  private static func section(_ suite: TestSuite, _ text: inout String) {
    let found = suite.cases.filter { !$0.findings.isEmpty }
    let hidden = suite.cases.filter { $0.result.kind == .skipped && $0.findings.isEmpty }
    let selection = suite.document.flatMap { SelectionSentence($0.analysis) }
    if found.isEmpty, hidden.isEmpty, suite.trouble == nil, selection == nil { return }
    text += "\n#### \(cell(suite.path))\n\n"
    if let selection { text += "**Filtered:** \(cell(selection.text))\n\n" }
    if let trouble = suite.trouble { text += "**Not judged:** \(cell(trouble))\n\n" }
    for line in suite.document.map({ KnownSentence($0.analysis).lines }) ?? [] {
      text += "- \(cell(line))\n"
    }
    for test in found {
      text += "<details><summary><b>\(test.rule.id)</b> "
      text += "\(html(test.summary ?? ""))</summary>\n\n<pre>\n"
      text += FindingLines.lines(test).map { html(ControlCharacters.escaped($0)) }.joined(
        separator: "\n")
      text += "\n</pre>\n\n</details>\n"
    }
    if !hidden.isEmpty {
      text += "\nNot judged here:\n\n"
      for test in hidden { text += "- \(test.rule.id): \(cell(test.result.reason ?? ""))\n" }
    }
  }

  /// Text as itself in a table cell or a list: no HTML, no column, no emphasis, no link.
  static func cell(_ text: String) -> String {
    var out = ""
    for scalar in ControlCharacters.escaped(text).unicodeScalars {
      if "\\`*_{}[]#|~@".unicodeScalars.contains(scalar) {
        out += "&#\(scalar.value);"
      } else {
        out += html(String(scalar))
      }
    }
    return out
  }

  private static func html(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
  }
}
