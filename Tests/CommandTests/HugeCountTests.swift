import ArgumentParser
import Fleet
import Glibc
import Ptrauth
import Regression
import Replay
import Report
import Testing
import ptrauth_trace

/// Reports, timelines and summaries can be anybody's: whatever their numbers are, they are refused or shown, and nothing
/// overflows on the way.
struct HugeCountTests {
  private static let numbers = [
    "-1", "281474976710656", "1152921504606846976", "9223372036854775808", "18446744073709551615",
  ]

  /// A report of everything: lost events, counted passes, a selection.
  private static let document: Document = {
    var document = Documents.incomplete(Documents.faulty)
    document.analysis.silentTails = [(cpu: 1, nanoseconds: 5)]
    document.analysis.silenceCount = 2
    document.analysis.longestSilence = Silence(since: 1, until: 5, busyCPU: 0)
    return document
  }()

  /// The names that have numbers.
  private static func names(in text: String) throws -> [String] {
    Set(
      text.matches(of: try Regex("\"(\\w+)\": ?-?[0-9]", as: (Substring, Substring).self)).map {
        String($0.output.1)
      }
    )
    .sorted()
  }

  private static func text(_ text: String, _ name: String, _ number: String) throws -> String {
    text.replacing(try Regex("\"\(name)\": ?-?[0-9]+"), with: "\"\(name)\":\(number)")
  }

  /// The text with each name's numbers at each extreme, then with all of them.
  private static func variants(_ whole: String) throws -> [String] {
    let names = try names(in: whole)
    #expect(names.count > 5)
    return try numbers.flatMap { number in
      try names.map { try text(whole, $0, number) }
        + [try names.reduce(whole) { try text($0, $1, number) }]
    }
  }

  private func render(_ document: Document) throws {
    _ = TextReport.render(document, style: Style(isColoured: false), isVerbose: true)
    _ = HTMLReport.render([.judged(document)])
    _ = JSONReport.render(document)
    for format: ReportFormat in [.ktap, .junit, .sarif, .github, .kcidb, .lava, .csv] {
      let report = try #require(MachineReport(format, try KCIDBOptions.parse([])))
      let suite = TestSuite(document, failOn: .medium)
      _ = report.render([suite, suite])
    }
    var summary = Summary()
    summary.lines = [.init(path: "a", result: .judged(document.analysis))]
    _ = summary.text(style: Style(isColoured: false))
    let sample = Sample(name: "a", kernel: "b", document.analysis)
    _ = TrendHTML.render([sample, sample])
    try merge(SummaryReport.line(Tally(document), of: Group(document, labels: [])))
  }

  private func merge(_ line: [UInt8]) throws {
    var fleet = Fleet(by: .kernels)
    for _ in 0..<3 {
      if case .tally(let tally, let group) = try SavedSummary(line) { fleet.add(tally, of: group) }
    }
    let report = FleetReport(fleet, failOn: .medium)
    _ = FleetText.render(report, style: Style(isColoured: false))
    _ = FleetJSON.render(report)
    _ = FleetHTML.render(report)
    _ = FleetMarkdown.render(report)
    _ = FleetJUnit.render(report, suite: "a")
    _ = FleetKCIDB(origin: "a", buildID: nil).render(report, suite: "a")
    _ = SummaryReport.render(fleet)
    _ = Sample(fleet.total, name: "a", kernel: "b")
  }

  @Test func ofReports() throws {
    var refused = 0
    let all = try Self.variants(String(decoding: JSONReport.render(Self.document), as: UTF8.self))
    for text in all {
      do throws(SavedFault) {
        let json: JSONValue
        do { json = try JSONValue(Array(text.utf8)) } catch {
          throw SavedFault(description: "no JSON")
        }
        let parts = try SavedReport(json).parts
        for case .judged(let document) in parts {
          do { try render(document) } catch { Issue.record("\(error)") }
        }
      } catch {
        #expect(error.description != "no JSON")
        refused += 1
      }
    }
    #expect(refused > all.count / 2 && refused < all.count)
  }

  /// Counts that one recording can have, of more vCPUs than it can have them of.
  @Test func sumsAreRefused() throws {
    let text = String(decoding: JSONReport.render(Self.document), as: UTF8.self)
    for name in ["keySwitches", "runs", "hostSaves", "loads"] {
      let half = try Self.text(text, name, "281474976710655")
      let json = try JSONValue(Array(half.utf8))
      #expect(Self.document.analysis.vcpus.count > 1)
      #expect(throws: SavedFault.self, "\(name)") { try SavedReport(json) }
    }
  }

  @Test func ofSummaries() throws {
    let line = String(decoding: SummaryLine.of(Self.document), as: UTF8.self)
    var shown = 0
    for text in try Self.variants(line) {
      do {
        try merge(Array(text.utf8))
        shown += 1
      } catch { #expect(error is SavedFault) }
    }
    #expect(shown > 9)
  }

  @Test func ofTimelines() throws {
    let entries = try Excerpt.all[0].replay(200).entries
    var lines = TimelineLines()
    var bytes = lines.begin()
    for entry in entries.prefix(40) { bytes += lines.add(entry) }
    let loss = #"{"type":"loss","cpu":0,"time":5,"tid":1,"since":100,"count":1}"# + "\n"
    let text = String(decoding: bytes, as: UTF8.self)
    let begin = String(text.prefix { $0 != "\n" }) + "\n"
    let rest = text.dropFirst(begin.count)
    for variant in try Self.variants(begin + loss + rest + loss) {
      do throws(SavedFault) {
        let timelines = try SavedTimeline.read(Array(variant.utf8))
        _ = HTMLReport.render(timelines.map { .timeline($0) })
      } catch { continue }
    }
    // A loss that says it began after it ended, and a run between.
    let run =
      #"{"type":"run","vcpu":null,"vcpuId":0,"tid":7,"cpu":0,"enter":50,"exit":60,"ret":null,"ec":null,"#
      + #""api":[0,0],"apk":[0,0],"basis":["observed","observed"]}"# + "\n"
    let odd: String = begin + loss + run
    let timelines = try SavedTimeline.read(Array(odd.utf8))
    #expect(!HTMLReport.render(timelines.map { .timeline($0) }).isEmpty)
  }
}
