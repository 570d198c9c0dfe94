import Ptrauth
import Replay

/// `--format junit`: the JUnit XML that Jenkins, GitLab and KernelCI read. A recording is a testsuite, a
/// rule a testcase. There are no times: the recording's length is not how long the test ran.
///
///     failure   a finding of severity --fail-on or above, with its evidence
///     error     events are missing, a required rule was not judged, or the recording could not be analysed
///     skipped   not judged, and what would show it
public enum JUnitReport {
  public static func render(_ suites: [TestSuite]) -> String {
    var xml = XMLWriter()
    xml.element("testsuites", [("name", "ptrauth-trace")] + counts(suites)) { xml in
      for suite in suites { self.suite(suite, &xml) }
    }
    return xml.text
  }

  private static func counts(_ suites: [TestSuite]) -> [(String, String?)] {
    func sum(_ kind: TestCase.Result.Kind) -> String {
      String(suites.reduce(0) { $0 + $1.count(kind) })
    }
    return [
      ("tests", String(suites.reduce(0) { $0 + $1.cases.count })),
      ("failures", sum(.failed)), ("errors", sum(.error)), ("skipped", sum(.skipped)),
    ]
  }

  private static func suite(_ suite: TestSuite, _ xml: inout XMLWriter) {
    xml.element("testsuite", [("name", suite.name)] + counts([suite])) { xml in
      xml.element("properties", []) { xml in
        let properties =
          [("recording", suite.path)] + (suite.document.map(properties) ?? [])
        for (name, value) in properties {
          xml.element("property", [("name", name), ("value", value)])
        }
      }
      for test in suite.cases { self.test(test, in: suite, &xml) }
    }
  }

  private static func properties(_ document: Document) -> [(String, String)] {
    let recording = document.recording
    let kernel = document.kernel
    let optional: [(String, String?)] = [
      ("verdict", document.analysis.verdict.word),
      ("filtered", SelectionSentence(document.analysis)?.text),
      ("reason", VerdictSentence(document.analysis).phrase),
      ("critical-not-judged", list(document.analysis.criticalNotJudged)),
      ("required-not-judged", list(document.analysis.requiredNotJudged)),
      ("format", recording.format),
      ("events", String(document.analysis.eventCount)),
      ("osrelease", recording.osRelease),
      ("vmlinux", kernel.path),
      ("build-id", kernel.recordedBuildID ?? kernel.buildID),
      ("match", kernel.match),
      ("generation", kernel.generation?.name),
      ("generation-basis", kernel.generationBasis),
      ("code", CodeSentence(document.analysis.code).text),
    ]
    let known = KnownSentence(document.analysis)
    return optional.compactMap { name, value in value.map { (name, $0) } }
      + (known.text.map { [("known", $0)] } ?? []) + known.gone.map { ("known-gone", $0) }
      + CodeSentence(document.analysis.code).warnings.map { ("warning", $0) }
      + recording.warnings.map { ("warning", $0) }
  }

  /// Rules by name; nil for none.
  private static func list(_ items: [Analysis.NotObservable]) -> String? {
    items.isEmpty ? nil : items.map(\.rule.id).joined(separator: " ")
  }

  private static func test(_ test: TestCase, in suite: TestSuite, _ xml: inout XMLWriter) {
    xml.element(
      "testcase",
      [
        // Jenkins splits at the last dot into package and class.
        ("classname", suite.name.replacing(".", with: "_").replacing("/", with: ".")),
        ("name", test.rule.id), ("file", test.source?.file),
        ("line", test.source.map { String($0.line) }),
      ]
    ) { xml in
      let found = FindingLines.lines(test).joined(separator: "\n")
      switch test.result {
      case .passed: if !found.isEmpty { xml.element("system-out", text: found) }
      case .failed:
        xml.element(
          "failure",
          [
            ("message", "\(test.rule.title): \(test.summary ?? "")"),
            ("type", test.rule.severity.name),
          ],
          text: found)
      case .skipped(let why):
        xml.element("skipped", [("message", why)])
        if !found.isEmpty { xml.element("system-out", text: found) }
      case .error(let why):
        let type = suite.requires(test.rule) ? "not judged" : "incomplete"
        xml.element("error", [("message", why), ("type", type)], text: suite.trouble)
        if !found.isEmpty { xml.element("system-out", text: found) }
      }
    }
  }
}
