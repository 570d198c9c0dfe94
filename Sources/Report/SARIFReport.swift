import Ptrauth
import Replay

/// `--format sarif`: SARIF 2.1.0 (OASIS, errata 01), one run over all recordings.
///
/// A result is one rule at one place of the kernel's source, whatever the number of occurrences and
/// recordings (occurrenceCount): code scanning shows a few thousand results at most. Locations are relative
/// to the root of the kernel tree (%SRCROOT%); without a vmlinux with DWARF the recording itself is the
/// location. Fingerprints hold no line and no recording, so an alert survives both. What was not judged is
/// a notification of the invocation, a warning if it is critical. The run's property "verdicts" has the verdict of
/// each recording, with the members of the JSON document.
public enum SARIFReport {
  static let schema =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

  /// - Parameter version: of ptrauth-trace.
  public static func render(_ suites: [TestSuite], version: String) -> [UInt8] {
    let rules = Analysis.judgedRules
    var json = JSONWriter(pretty: true)
    json.object { json in
      json.field("$schema", schema)
      json.field("version", "2.1.0")
      json.key("runs")
      json.array { json in
        json.object { json in
          json.key("tool")
          json.object { json in
            json.key("driver")
            json.object { json in
              json.field("name", "ptrauth-trace")
              json.field("version", version)
              json.key("rules")
              json.array { json in for rule in rules { SARIFRule.write(rule, &json) } }
            }
          }
          json.key("originalUriBaseIds")
          json.object { json in
            json.key("%SRCROOT%")
            json.object { message("The root of the recorded kernel's source.", "description", &$0) }
          }
          json.key("invocations")
          json.array { json in
            json.object { invocation(suites, rules, &$0) }
          }
          json.key("results")
          json.array { json in
            for result in SARIFResult.collect(suites) { json.object { result.write(rules, &$0) } }
          }
          json.key("properties")
          json.object { verdicts(suites, &$0) }
        }
      }
    }
    json.newline()
    return json.bytes
  }

  private static func invocation(
    _ suites: [TestSuite], _ rules: [Rule], _ json: inout JSONWriter
  ) {
    json.field("executionSuccessful", suites.allSatisfy { $0.document != nil })
    json.key("toolExecutionNotifications")
    json.array { json in
      for suite in suites {
        if let trouble = suite.trouble { notification(trouble, "error", nil, suite, &json) }
        if let selection = suite.document.flatMap({ SelectionSentence($0.analysis) }) {
          notification("filtered: \(selection.text)", "warning", nil, suite, &json)
        }
        for gone in suite.document.map({ KnownSentence($0.analysis).gone }) ?? [] {
          notification("known: \(gone)", "note", nil, suite, &json)
        }
        let code = suite.document.map { CodeSentence($0.analysis.code).warnings } ?? []
        for warning in code + (suite.document?.recording.warnings ?? []) {
          notification(warning, "warning", nil, suite, &json)
        }
        for test in suite.cases {
          guard let why = test.result.reason else { continue }
          let isRequired = suite.requires(test.rule)
          guard test.result.kind == .skipped || isRequired else { continue }
          let level = isRequired ? "error" : suite.lacks(test.rule) ? "warning" : "note"
          notification("\(test.rule.id): \(why)", level, test.rule, suite, &json)
        }
      }
    }
  }

  private static func verdicts(_ suites: [TestSuite], _ json: inout JSONWriter) {
    json.key("verdicts")
    json.array { json in
      for suite in suites {
        json.object { json in
          json.field("recording", suite.path)
          if let analysis = suite.document?.analysis {
            JSONReport.verdict(analysis, &json)
          } else {
            json.field("verdict", Analysis.Verdict.unusable.word)
            json.field("error", suite.trouble)
          }
        }
      }
    }
  }

  private static func notification(
    _ text: String, _ level: String, _ rule: Rule?, _ suite: TestSuite, _ json: inout JSONWriter
  ) {
    json.object { json in
      message(text, "message", &json)
      json.field("level", level)
      if let rule {
        json.key("associatedRule")
        json.object { $0.field("id", rule.id) }
      }
      json.key("locations")
      json.array { json in json.object { SARIFResult.physical(suite.path, nil, &$0) } }
    }
  }

  /// `"key": {"text": ...}`, SARIF's message and multiformatMessageString.
  static func message(_ text: String, _ key: String, _ json: inout JSONWriter) {
    json.key(key)
    json.object { $0.field("text", text) }
  }
}
