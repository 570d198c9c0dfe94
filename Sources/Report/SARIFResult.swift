import Ptrauth
import Regression
import Replay

/// One rule at one place, over all recordings.
struct SARIFResult {
  private var rule: Rule
  private var source: SourcePlace?
  /// Whether all that was found of it is in the list of known findings; nil: there is no list.
  private var isKnown: Bool?
  /// Of the first suite: see ``SuiteNames``.
  private var suite: String
  /// Where it was found, in the order of the recordings.
  private var occurrences: [(recording: String, finding: Finding)]

  /// In the order first met.
  static func collect(_ suites: [TestSuite]) -> [SARIFResult] {
    var results: [SARIFResult] = []
    for suite in suites {
      for test in suite.cases {
        for finding in test.findings {
          let isKnown = suite.document?.analysis.known?.contains(finding)
          let same = results.firstIndex {
            $0.rule == test.rule && $0.source?.file == test.source?.file
              && $0.source?.function == test.source?.function
              && (test.source != nil || $0.occurrences.first?.recording == suite.path)
          }
          if let same {
            results[same].occurrences.append((suite.path, finding))
            if isKnown == false { results[same].isKnown = false }
          } else {
            results.append(
              SARIFResult(
                rule: test.rule, source: test.source, isKnown: isKnown, suite: suite.name,
                occurrences: [(suite.path, finding)]))
          }
        }
      }
    }
    return results
  }

  func write(_ rules: [Rule], _ json: inout JSONWriter) {
    json.field("ruleId", rule.id)
    json.field("ruleIndex", rules.firstIndex(of: rule))
    json.field("level", level)
    SARIFReport.message(text, "message", &json)
    json.key("locations")
    json.array { json in json.object { location(&$0) } }
    json.field("occurrenceCount", occurrences.reduce(0) { Counters.sum($0, $1.finding.count) })
    if let isKnown {
      json.field("baselineState", isKnown ? "unchanged" : "new")
      if isKnown {
        json.key("suppressions")
        json.array { json in json.object { $0.field("kind", "external") } }
      }
    }
    json.key("partialFingerprints")
    json.object { $0.field("primaryLocationLineHash", fingerprint + ":1") }
    json.key("properties")
    json.object { json in
      json.field("confidence", confidence.word)
      json.key("counts")
      json.object { json in
        for level in Self.levels where count(level) > 0 { json.field(level.word, count(level)) }
      }
      json.key("occurrences")
      json.array { json in
        for (recording, finding) in occurrences {
          json.object { json in
            json.field("recording", recording)
            json.field("confidence", finding.level.word)
            json.field("count", finding.count)
            json.key("evidence")
            json.array { json in
              for line in FindingLines.evidence(finding) + finding.code.map(\.words) {
                json.value(line)
              }
            }
          }
        }
      }
    }
  }

  private static let levels: [Finding.Level] = [.proved, .static, .suspected]

  private func count(_ level: Finding.Level) -> UInt64 {
    occurrences.filter { $0.finding.level == level }.reduce(0) {
      Counters.sum($0, $1.finding.count)
    }
  }

  /// "375 proved, 2 suspected".
  private var counts: String {
    Self.levels.filter { count($0) > 0 }.map { "\(count($0)) \($0.word)" }.joined(separator: ", ")
  }

  private var confidence: Finding.Level {
    occurrences.map(\.finding.level).max() ?? .suspected
  }

  /// A suspicion is at most a warning.
  private var level: String {
    let level = SARIFRule.level(rule.severity)
    return level == "error" && confidence == .suspected ? "warning" : level
  }

  private var text: String {
    guard let (recording, first) = occurrences.first else { return "" }
    let others = Set(occurrences.map(\.recording)).count - 1
    let place =
      "in \(recording)"
      + (others > 0 ? " and \(counted(UInt64(others), "other recording"))" : "")
    guard rule.isCorrectness else {
      return "\(SARIFRule.sentence(rule.title)) "
        + SARIFRule.sentence(
          "\(occurrences.count == 1 ? costWords(first, times: levelWords(first)) : counts), \(place)"
        )
    }
    return "\(SARIFRule.sentence(first.statement)) \(SARIFRule.sentence(rule.consequence)) "
      + SARIFRule.sentence("\(counts), \(place)")
  }

  private func location(_ json: inout JSONWriter) {
    guard let source else {
      Self.physical(occurrences.first?.recording ?? "", nil, &json)
      return
    }
    Self.physical(source.file, source.line, &json)
    json.key("logicalLocations")
    json.array { json in
      json.object { json in
        json.field("name", source.function)
        json.field("kind", "function")
      }
    }
  }

  /// A line of the kernel's source, or a recording, which has none.
  static func physical(_ path: String, _ line: Int?, _ json: inout JSONWriter) {
    json.key("physicalLocation")
    json.object { json in
      json.key("artifactLocation")
      json.object { json in
        json.field("uri", URIReference.of(path))
        if line != nil { json.field("uriBaseId", "%SRCROOT%") }
      }
      if let line {
        json.key("region")
        json.object { $0.field("startLine", max(1, line)) }
      }
    }
  }

  /// Stable over lines, recordings and releases that leave the function where it is.
  private var fingerprint: String {
    let place =
      source.map { "\($0.file)\u{0}\($0.function)" } ?? suite
    return Digest.of("\(rule.id)\u{0}\(place)")
  }
}
