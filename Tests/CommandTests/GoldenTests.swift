import ArgumentParser
import Glibc
import Ptrauth
import Report
import Testing
import ptrauth_trace

/// Every format of every recording in traces/ is byte for byte the file that somebody read.
/// `UPDATE_GOLDEN=1 swift test --filter GoldenTests` writes them anew: read them again.
struct GoldenTests {
  static let formats: [ReportFormat] = [
    .text, .json, .ktap, .junit, .sarif, .github, .kcidb, .lava, .csv,
  ]

  @Test(arguments: formats, Corpus.traces)
  func theFormatIsTheGoldenFile(format: ReportFormat, corpus: Corpus) throws {
    let document = try #require(
      Documents.real.first { corpus.recording.hasSuffix($0.recording.path) })
    Golden.expect(try render(document, format), is: "\(corpus.shortName).\(format.rawValue)")
  }

  private func render(_ document: Document, _ format: ReportFormat) throws -> [UInt8] {
    if let report = MachineReport(format, try KCIDBOptions.parse([])) {
      return report.render([TestSuite(document, failOn: .medium)])
    }
    return switch format {
    case .json: JSONReport.render(document)
    default: Array(TextReport.render(document, style: Style(isColoured: false)).utf8)
    }
  }

  /// Whole timelines, of the first 2000 events of each recording.
  @Test(arguments: Excerpt.all)
  func theTimelineIsTheGoldenFile(excerpt: Excerpt) throws {
    let name = excerpt.corpus.shortName
    Golden.expect(try excerpt.written(TimelineLines(), 2000), is: "\(name).jsonl")
    Golden.expect(try excerpt.written(PerfettoTrace(), 2000), is: "\(name).perfetto")
  }

  /// The whole page of the first 600 events, but for its style and its script, which are the same in all.
  @Test(arguments: Excerpt.all)
  func thePageIsTheGoldenFile(excerpt: Excerpt) throws {
    let page = HTMLReport.render([.judged(try excerpt.replay(600).document)])
    Golden.expect(Self.content(page), is: "\(excerpt.corpus.shortName).html")
  }

  /// A page without style and script; its data in lines.
  static func content(_ page: [UInt8]) -> [UInt8] {
    var page = String(decoding: page, as: UTF8.self)
    for (from, to) in [("<style>", "</style>"), ("<script>", "</script>")] {
      if let begin = page.firstRange(of: from), let end = page.firstRange(of: to, after: begin) {
        page.removeSubrange(begin.upperBound..<end.lowerBound)
      }
    }
    return Array(page.replacing("],\"", with: "],\n\"").utf8)
  }

  /// A fault, and another scheme without one.
  static let comparisons = [
    ("fault", ["traces/v7-good/perf.data", "--", "traces/v7-trap-skips-host-save/perf.data"]),
    ("fixed", ["traces/v7-trap-skips-host-save/perf.data", "--", "traces/v7-good/perf.data"]),
    ("scheme", ["traces/v7-good/perf.data", "--", "traces/deb-6.1-good/perf.data"]),
  ]

  @Test(arguments: comparisons, Compare.Format.allCases)
  func theComparisonIsTheGoldenFile(of: (String, [String]), format: Compare.Format) throws {
    let (name, sides) = of
    let options = ["compare", "-q", "--format", format.rawValue]
    let mail = format == .text && name == "fault" ? ["--regzbot", "v6.1..v6.2"] : []
    let run = try Program.run(Program.command, options + mail + sides)
    #expect(run.errors.isEmpty)
    var bytes = Array(run.output.utf8)
    if format == .html {
      // The pictures are those of the recordings' own pages.
      var page = String(decoding: Self.content(bytes), as: UTF8.self)
      while let begin = page.firstRange(of: "<script type=\"application/json\">{"),
        let end = page.firstRange(of: "</script>", after: begin)
      {
        page.replaceSubrange(begin.lowerBound..<end.upperBound, with: "(data)")
      }
      #expect(page.ranges(of: "(data)").count == 2, "both timelines")
      bytes = Array(page.utf8)
    }
    Golden.expect(bytes, is: "compare-\(name).\(format.rawValue)")
  }

  @Test(arguments: Corpus.traces)
  func infoIsTheGoldenFile(corpus: Corpus) throws {
    let run = try Program.run(
      Program.command, ["info", "traces/\(corpus.shortName)/perf.data"])
    Golden.expect(Array(run.output.utf8), is: "\(corpus.shortName).info")
  }

  @Test(arguments: [nil, "missed-host-save", "redundant-switch"])
  func explainIsTheGoldenFile(rule: String?) throws {
    let run = try Program.run(Program.command, ["explain"] + (rule.map { [$0] } ?? []))
    Golden.expect(Array(run.output.utf8), is: "explain-\(rule ?? "all").text")
  }
}

extension Corpus {
  /// "v7-good".
  var shortName: String { directory.split(separator: "/").last.map(String.init) ?? "" }
}

extension String {
  fileprivate func firstRange(
    of part: String, after range: Range<String.Index>
  ) -> Range<String.Index>? {
    self[range.upperBound...].firstRange(of: part)
  }
}
