import Fleet
import Printing
import Ptrauth
import Regression
import Replay

/// `merge --format kcidb`: a test result for each group and rule (KCIDB I/O schema 5.3; see ``KCIDBReport``). Ids are made
/// of what was merged: the same recordings merged twice, in whatever order, are one result.
public struct FleetKCIDB {
  public var origin: String
  /// "origin:id" of the build tested; nil is each kernel's build-id under `origin`.
  public var buildID: String?

  public init(origin: String, buildID: String?) {
    self.origin = origin
    self.buildID = buildID
  }

  public func render(_ report: FleetReport, suite name: String) -> [UInt8] {
    KCIDBReport.document { json in
      for suite in FleetSuites(report, name: name).suites {
        let line = suite.group.map { SummaryReport.line(suite.tally, of: Group($0.parts)) } ?? []
        let digest = Digest.of(name + "\u{0}" + String(decoding: line, as: UTF8.self))
        for test in suite.cases { json.object { self.test(test, in: suite, digest, &$0) } }
      }
    }
  }

  private func test(
    _ test: FleetSuites.Case, in suite: FleetSuites.Suite, _ digest: String,
    _ json: inout JSONWriter
  ) {
    // The schema takes an id on one line.
    let build = suite.group?.kernel?.buildID.map { ControlCharacters.escaped($0.text) } ?? "unknown"
    json.field("id", "\(origin):\(digest).\(test.name)")
    json.field("origin", origin)
    json.field("build_id", buildID ?? "\(origin):\(build)")
    json.field("path", "ptrauth_trace.\(test.name)")
    json.field("comment", test.rule?.title ?? "What was recorded can be judged")
    json.field("status", Self.status(test))
    if let rule = test.rule, !rule.isCorrectness, test.tally.judged > 0 {
      json.key("number")
      json.object { json in
        json.field("value", Counters.sum(test.tally.reads, test.tally.writes))
        json.field("unit", "register accesses")
      }
    }
    if !test.lines.isEmpty {
      // The schema takes no NUL, and readers of lines nothing that makes another.
      let lines = test.lines.map(ControlCharacters.escaped).joined(separator: "\n")
      json.field("log_excerpt", KCIDBReport.excerpt(lines))
    }
    json.key("environment")
    json.object { json in
      json.key("misc")
      json.object { json in
        json.field("recordings", suite.tally.recordings)
        if let release = suite.group?.kernel?.release {
          json.field("osrelease", ControlCharacters.escaped(release.text))
        }
        for label in suite.group?.labels ?? [] {
          json.field("label." + label.key, label.value.map(ControlCharacters.escaped))
        }
      }
    }
    json.key("misc")
    json.object { json in
      if let rule = test.rule {
        json.field("severity", rule.severity.name)
        json.field("broken", test.tally.recordings(.broken))
        json.field("judged", test.tally.judged)
        json.field("count", test.tally.count)
      }
      if let reason = test.result.reason { json.field("reason", ControlCharacters.escaped(reason)) }
    }
  }

  private static func status(_ test: FleetSuites.Case) -> String {
    switch test.result {
    case .failed: "FAIL"
    case .skipped: "SKIP"
    case .passed: test.rule?.isCorrectness ?? true ? "PASS" : "DONE"
    case .error: "ERROR"
    }
  }
}
