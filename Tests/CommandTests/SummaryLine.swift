import Fleet
import Ptrauth
import Regression
import Replay
import Report

/// Summaries to merge: of the documents at hand, and random ones.
enum SummaryLine {
  static func of(_ document: Document, labels: [(key: String, value: String?)] = []) -> [UInt8] {
    SummaryReport.line(Tally(document), of: Group(document, labels: labels))
  }

  /// Names that hurt every format, wherever a summary has names.
  static var hostile: [UInt8] {
    let name = Documents.hostile.recording.path
    var document = Documents.hostile
    document.recording.osRelease = name
    document.recording.format = name
    document.kernel.recordedBuildID = name
    document.analysis.findings[0].level = .proved
    return of(document, labels: [("board", name)])
  }

  static var fixed: [[UInt8]] {
    [
      of(Documents.stock), of(Documents.clean), of(Documents.faulty), of(Documents.unusable),
      of(Documents.incomplete(Documents.clean)), of(Documents.incomplete(Documents.faulty)),
      of(Documents.blind), of(Documents.unfulfilled),
      SummaryReport.line(
        Tally(
          unreadable: "/somewhere/nothing.data",
          because: "/somewhere/nothing.data: cannot be opened"),
        of: Group(Group.Kernel(release: nil, buildID: nil), labels: [])),
    ]
  }

  /// A recording as none need be, which does not contradict itself.
  static func random(_ random: inout some RandomNumberGenerator) -> [UInt8] {
    func number() -> UInt64 {
      [0, 1, UInt64.random(in: 0...1000, using: &random), 1 << 40].randomElement(using: &random)
        ?? 0
    }
    func names() -> NameCounts {
      var counts = NameCounts()
      for _ in 0..<Int.random(in: 0..<12, using: &random) {
        counts.add(name(&random), 1 + number())
      }
      return counts
    }
    var tally = Tally()
    tally.recordings = 1
    let verdict = Analysis.Verdict.allCases.randomElement(using: &random) ?? .clean
    tally.verdicts = [verdict: 1]
    tally.open = [.clean, .findings].contains(verdict) ? .random(in: 0...1, using: &random) : 1
    tally.eventsMissing = verdict == .incomplete ? 1 : .random(in: 0...tally.open, using: &random)
    tally.bytes = number()
    tally.events = number()
    tally.lost = number()
    tally.duration = .random(in: 0 ... .max, using: &random)
    tally.names = names()
    tally.schemes = names()
    tally.troubles = names()
    for rule in Rule.all where Bool.random(using: &random) {
      var found = RuleTally()
      var outcome = RuleTally.Outcome.allCases.randomElement(using: &random) ?? .kept
      if outcome == .broken, rule.isCorrectness, verdict != .findings { outcome = .kept }
      found.outcomes = [outcome: 1]
      for level in [Finding.Level.proved, .static, .suspected]
      where found.found > 0 && Bool.random(using: &random) {
        found.occurrences[level] = 1 + number()
      }
      found.places = names()
      found.examples = names()
      found.reads = number()
      tally.rules[rule] = found
    }
    tally.rules[.staleEnable, default: RuleTally()].outcomes =
      verdict == .findings ? [.broken: 1] : [.kept: 1]
    if verdict != .findings { tally.rules[.staleEnable]?.occurrences = [:] }
    tally.vms = 1
    tally.vcpus = 8
    tally.counters.runs = number()
    tally.counters.guestTime = number()
    for metric in Metric.all where Bool.random(using: &random) {
      var rates = Rates()
      rates.recordings.add(Double.random(in: 0...10, using: &random))
      for _ in 0..<8 { rates.vcpus.add(Double.random(in: 0...1e6, using: &random)) }
      rates.vms.add(0)
      tally.rates[metric] = rates
    }
    let kernel = Group.Kernel(
      release: Bool.random(using: &random) ? "6.\(Int.random(in: 1...3, using: &random))" : nil,
      buildID: Bool.random(using: &random) ? "ab" : nil)
    let board: String? = Bool.random(using: &random) ? name(&random) : nil
    return SummaryReport.line(tally, of: Group(kernel, labels: [("board", board)]))
  }

  private static func name(_ random: inout some RandomNumberGenerator) -> String {
    (["é", "e\u{301}", "x", "\n"].randomElement(using: &random) ?? "")
      + String(Int.random(in: 0..<9, using: &random))
  }
}
