import Fleet
import Ptrauth
import Replay

/// `merge --format junit`: see ``FleetSuites``.
public enum FleetJUnit {
  public static func render(_ report: FleetReport, suite name: String) -> String {
    let all = FleetSuites(report, name: name)
    var xml = XMLWriter()
    func counts(_ suites: [FleetSuites.Suite]) -> [(String, String?)] {
      func count(_ kind: TestCase.Result.Kind) -> String {
        String(suites.reduce(0) { $0 + $1.cases.count { $0.result.kind == kind } })
      }
      return [
        ("tests", String(suites.reduce(0) { $0 + $1.cases.count })), ("failures", count(.failed)),
        ("errors", count(.error)), ("skipped", count(.skipped)),
      ]
    }
    xml.element("testsuites", [("name", "ptrauth-trace")] + counts(all.suites)) { xml in
      for suite in all.suites {
        xml.element("testsuite", [("name", suite.name)] + counts([suite])) { xml in
          if let group = suite.group { properties(group, suite.tally, &xml) }
          for test in suite.cases { self.test(test, in: suite, &xml) }
        }
      }
    }
    return xml.text
  }

  private static func properties(_ group: Group, _ tally: Tally, _ xml: inout XMLWriter) {
    var properties: [(String, String?)] = [
      ("recordings", String(tally.recordings)), ("no-pass", String(tally.open)),
      ("osrelease", group.kernel?.release?.text), ("build-id", group.kernel?.buildID?.text),
      ("generation", FleetReport.list(tally.schemes)),
    ]
    properties += group.labels.map { ("label-" + $0.key, $0.value) }
    xml.element("properties", []) { xml in
      for case (let name, let value?) in properties {
        xml.element("property", [("name", name), ("value", value)])
      }
    }
  }

  private static func test(
    _ test: FleetSuites.Case, in suite: FleetSuites.Suite, _ xml: inout XMLWriter
  ) {
    let words = test.lines.isEmpty ? nil : test.lines.joined(separator: "\n")
    xml.element(
      "testcase",
      [
        ("classname", suite.name.replacing(".", with: "_").replacing("/", with: ".")),
        ("name", test.name),
      ]
    ) { xml in
      switch test.result {
      case .passed: break
      case .failed:
        xml.element(
          "failure",
          [
            ("message", "\(test.rule?.title ?? test.name): \(test.lines.first ?? "")"),
            ("type", test.rule?.severity.name ?? "medium"),
          ], text: words)
        return
      case .skipped(let why): xml.element("skipped", [("message", why)])
      case .error(let why):
        xml.element("error", [("message", why), ("type", "not judged")], text: words)
      }
      if test.result.kind != .error, let words { xml.element("system-out", text: words) }
    }
  }
}
