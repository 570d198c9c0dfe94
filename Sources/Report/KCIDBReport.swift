import Ptrauth
import Regression
import Replay

/// `--format kcidb`: test results for KernelCI's common database (KCIDB I/O schema 5.3). Submit them with
/// `kcidb-submit`; builds and checkouts are the submitter's.
///
///     FAIL   failed                        ERROR  events are missing, or required and not judged
///     PASS   correct                       MISS   no vCPU could be followed, or unreadable
///     DONE   a cost, with its number       SKIP   not judged, and what would show it
///
/// Ids are made of what was analysed: the same recording submitted twice is one result.
public struct KCIDBReport {
  /// Lower-case letters, digits and underscores.
  public var origin: String
  /// "origin:id" of the build tested; nil is the kernel's build-id under `origin`.
  public var buildID: String?

  public init(origin: String, buildID: String?) {
    self.origin = origin
    self.buildID = buildID
  }

  public func render(_ suites: [TestSuite]) -> [UInt8] {
    Self.document { json in
      for suite in suites {
        for test in suite.cases { json.object { self.test(test, in: suite, &$0) } }
      }
    }
  }

  /// The whole of a submission, of which `tests` writes the tests.
  static func document(_ tests: (inout JSONWriter) -> Void) -> [UInt8] {
    var json = JSONWriter(pretty: true)
    json.object { json in
      json.key("version")
      json.object { json in
        json.field("major", 5)
        json.field("minor", 3)
      }
      json.key("tests")
      json.array(tests)
    }
    json.newline()
    return json.bytes
  }

  private func test(_ test: TestCase, in suite: TestSuite, _ json: inout JSONWriter) {
    let kernel = suite.document?.kernel
    let build = kernel?.recordedBuildID ?? kernel?.buildID ?? "unknown"
    json.field("id", "\(origin):\(Self.digest(suite)).\(test.rule.id)")
    json.field("origin", origin)
    json.field("build_id", buildID ?? "\(origin):\(build)")
    json.field("path", "ptrauth_trace.\(test.rule.id)")
    json.field("comment", test.rule.title)
    json.field("status", status(test, in: suite))
    if let accesses = cost(test) {
      json.key("number")
      json.object { json in
        json.field("value", accesses)
        json.field("unit", "register accesses")
      }
    }
    let lines = FindingLines.lines(test)
    if !lines.isEmpty {
      // The schema's limit; findings are shorter unless there are hundreds of vCPUs.
      json.field("log_excerpt", Self.excerpt(lines.joined(separator: "\n")))
    }
    json.key("environment")
    json.object { json in
      json.key("misc")
      json.object { json in
        json.field("recording", suite.path)
        if let document = suite.document {
          json.field("verdict", VerdictSentence(document.analysis).phrase)
          let gone = KnownSentence(document.analysis).gone
          if !gone.isEmpty { json.field("knownGone", gone.joined(separator: "; ")) }
          if let selection = SelectionSentence(document.analysis) {
            json.field("filtered", selection.text)
          }
          json.field("code", CodeSentence(document.analysis.code).text)
        }
        if let release = suite.document?.recording.osRelease { json.field("osrelease", release) }
        if let scheme = kernel?.generation?.name { json.field("generation", scheme) }
      }
    }
    json.key("misc")
    json.object { json in
      json.field("severity", test.rule.severity.name)
      if let level = test.findings.first?.level { json.field("confidence", level.word) }
      if !test.findings.isEmpty {
        json.field("count", test.findings.reduce(0) { Counters.sum($0, $1.count) })
        json.key("counts")
        json.object { json in
          for finding in test.findings { json.field(finding.level.word, finding.count) }
        }
      }
      if test.isKnown { json.field("known", true) }
      if let reason = test.result.reason {
        let isOfSuite = test.result.kind == .error && !suite.requires(test.rule)
        json.field("reason", isOfSuite ? suite.trouble ?? reason : reason)
      }
    }
  }

  /// As much of the lines as the schema takes: 16384 characters, which are code points there.
  static func excerpt(_ lines: String) -> String {
    String(lines.unicodeScalars.prefix(16384))
  }

  private func status(_ test: TestCase, in suite: TestSuite) -> String {
    switch test.result {
    case .failed: "FAIL"
    case .skipped: "SKIP"
    case .passed: test.rule.isCorrectness ? "PASS" : "DONE"
    case .error: suite.document.map { $0.analysis.verdict == .unusable } ?? true ? "MISS" : "ERROR"
    }
  }

  /// Register accesses of a cost that was judged, zero if there was none.
  private func cost(_ test: TestCase) -> UInt64? {
    guard !test.rule.isCorrectness, [.passed, .failed].contains(test.result.kind) else {
      return nil
    }
    return test.findings.reduce(0) { Counters.sum($0, $1.cost?.accesses ?? 0) }
  }

  private static func digest(_ suite: TestSuite) -> String {
    guard let document = suite.document else { return Digest.of(suite.name + suite.path) }
    let facts: [UInt64] = [
      document.recording.byteCount, document.analysis.eventCount, document.analysis.firstTime,
      document.analysis.lastTime,
    ]
    return Digest.of(
      ([suite.name, document.kernel.recordedBuildID ?? ""]
        + (document.analysis.selection.map { [$0.words] } ?? []) + facts.map(String.init))
        .joined(separator: "\u{0}"))
  }
}
