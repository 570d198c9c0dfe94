import ArgumentParser
import Bytes
import Fleet
import Ptrauth
import Regression
import Replay
import Report

package struct Render: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "render",
    abstract: "Make a page, or another report, from saved ones.",
    discussion: """
      Reads reports of `analyze --format json` and timelines of `analyze --format jsonl`: CI stores them, and no \
      recording is needed to show them. A timeline is drawn in the page of the report of the same recording; alone, \
      in a page of its own. The format is that of the output's name, or html.

      --trend shows how often rules were broken, and rates, over several reports in the order they are given.

      Examples:
        ptrauth-trace render report.json -o report.html
        ptrauth-trace render report.json timeline.jsonl -o report.html
        ptrauth-trace render --format junit report.json
        ptrauth-trace render --format summary night/*.json | ptrauth-trace merge -
        ptrauth-trace render --trend nightly/*.json -o trend.html

      Exit codes: 0 rendered, whatever the reports say; 2 an input cannot be read; 64 usage.
      """)

  @Argument(
    help: "Reports (json) and timelines (jsonl) of analyze.",
    completion: .file(extensions: ["json", "jsonl"]))
  var reports: [String]

  @Option(
    name: .customLong("format"),
    help:
      "html, text, summary (lines for merge), or for CI ktap, junit, sarif, github, kcidb, lava, csv."
  )
  var chosenFormat: ReportFormat?

  @Flag(help: "One page over all reports, in their order.")
  var trend = false

  @Flag(
    name: .shortAndLong,
    help: "Text: also list the marks of the generation and all event counts.")
  var verbose = false

  @OptionGroup(title: "Output") var output: OutputOptions
  @OptionGroup(title: "Output") var suite: SuiteOptions
  @OptionGroup(title: "KCIDB") var kcidb: KCIDBOptions
  @OptionGroup(title: "Output") var label: LabelOptions
  @Option(
    help:
      "A rule of this severity or above fails: info, low, medium, high, critical, none (default: as analyze was told)."
  )
  var failOn: VerdictOptions.FailOn?

  var format: ReportFormat { chosenFormat ?? output.impliedFormat() ?? .html }

  func validate() throws {
    guard ![.json, .jsonl, .perfetto].contains(format) else {
      throw ValidationError(
        "\(format.rawValue) is made from the recording: analyze --format \(format.rawValue)")
    }
    if format != .summary, let word = label.words.first {
      throw ValidationError("--label \(word): only --format summary has labels")
    }
    if trend, format != .html { throw ValidationError("--trend is a page: html") }
  }

  func run() throws {
    try ExitDialect.standard.run {
      var saved = SavedFiles()
      for path in reports { try saved.read(path) }
      if let failOn { saved.fail(on: failOn.severity) }
      try write(try rendered(saved))
      return .clean
    }
  }

  private func rendered(_ saved: SavedFiles) throws -> [UInt8] {
    if trend {
      guard saved.lone.isEmpty else {
        throw Problem("a trend is made of reports; timelines have no counters")
      }
      for case .judged(let document) in saved.parts where document.analysis.selection != nil {
        throw Problem(
          "the report of \(document.recording.path) shows a part of its recording; a trend takes the whole"
        )
      }
      return TrendHTML.render(saved.samples)
    }
    if format == .html { return HTMLReport.render(saved.parts + saved.lone.map { .timeline($0) }) }
    guard !saved.parts.isEmpty else {
      throw Problem("a timeline alone is shown as html; give its report too")
    }
    if format == .summary { return try summaries(saved) }
    guard let report = MachineReport(format, kcidb, suite: suite.suite) else {
      return Array(text(saved).utf8)
    }
    let suites = saved.parts.compactMap { TestSuite($0) }
    try report.writeSummary(suites)
    return report.render(suites)
  }

  private func summaries(_ saved: SavedFiles) throws(Problem) -> [UInt8] {
    var lines: [UInt8] = []
    for part in saved.parts {
      switch part {
      case .judged(let document):
        guard document.analysis.selection == nil else {
          throw Problem(
            "the report of \(document.recording.path) shows a part of its recording; a summary is of the whole"
          )
        }
        lines += SummaryReport.line(Tally(document), of: Group(document, labels: label.labels))
      case .refused(let path, let sentence):
        lines += SummaryReport.line(
          Tally(unreadable: path, because: sentence),
          of: Group(Group.Kernel(release: nil, buildID: nil), labels: label.labels))
      case .timeline: break
      }
    }
    return lines
  }

  private func text(_ saved: SavedFiles) -> String {
    let style = output.style
    var summary = Summary()
    var texts: [String] = []
    for part in saved.parts {
      switch part {
      case .judged(let document):
        texts.append(TextReport.render(document, style: style, isVerbose: verbose))
        if let passes = document.passes { texts.append(passes.text(style: style)) }
        summary.lines.append(
          Summary.Line(path: document.recording.path, result: .judged(document.analysis)))
      case .refused(let path, let sentence):
        texts.append(Refusal.text(path, sentence, style: style))
        summary.lines.append(Summary.Line(path: path, result: .refused(sentence)))
      case .timeline: break
      }
    }
    if summary.lines.count > 1 { texts.append(summary.text(style: style)) }
    return (texts + saved.passes.map { $0.text(style: style) }).joined(separator: "\n")
  }

  private func write(_ bytes: [UInt8]) throws {
    let sink = try output.sink(isText: format == .text)
    try sink.write(bytes)
    try sink.finish()
  }
}

/// Saved reports and timelines, as they come.
private struct SavedFiles {
  /// What reports hold, with the timelines of the same recordings.
  private(set) var parts: [HTMLReport.Part] = []
  /// One for each usable or unusable recording.
  private(set) var samples: [Sample] = []
  /// Of instruction logs.
  private(set) var passes: [PassReport] = []
  /// Timelines whose report is not there.
  private(set) var lone: [SavedTimeline] = []
  private static let limit = 1 << 30

  mutating func read(_ path: String) throws {
    guard let bytes = Folder.contents(path, limit: Self.limit) else {
      throw Problem(
        "\(path): cannot be read, or has more than \(Self.limit >> 20) MiB; a report of analyze is expected"
      )
    }
    do throws(SavedFault) {
      if Self.isTimeline(bytes) {
        for timeline in try SavedTimeline.read(bytes) { lone.append(timeline) }
      } else {
        try add(bytes, path)
      }
    } catch {
      throw Problem("\(path): \(error)")
    }
    place()
  }

  /// Lines begin with their type, documents with their schema.
  private static func isTimeline(_ bytes: [UInt8]) -> Bool {
    bytes.starts(with: Array(#"{"type":"#.utf8))
  }

  private mutating func add(_ bytes: [UInt8], _ path: String) throws(SavedFault) {
    let json: JSONValue
    do throws(JSONValue.Fault) { json = try JSONValue(bytes) } catch {
      throw SavedFault(
        description: "byte \(error.offset + 1): this is no JSON; a report of analyze --format json "
          + "is expected")
    }
    let report = try SavedReport(json)
    if let counted = report.passes { passes.append(counted) }
    for part in report.parts {
      parts.append(part)
      let name = report.parts.count == 1 ? path : "\(path): \(part.path)"
      switch part {
      case .judged(let document):
        let kernel = [
          document.recording.osRelease,
          document.kernel.generation.map { "scheme \($0.name) (\($0.id))" },
        ]
        samples.append(
          Sample(
            name: name, kernel: kernel.compactMap(\.self).joined(separator: ", "),
            document.analysis))
      default: samples.append(Sample(unreadable: name))
      }
    }
  }

  mutating func fail(on severity: Rule.Severity?) {
    for (number, part) in parts.enumerated() {
      guard case .judged(var document) = part else { continue }
      document.analysis.failOn = severity
      parts[number] = .judged(document)
    }
  }

  /// Timelines go to the reports of their recordings.
  private mutating func place() {
    for (number, part) in parts.enumerated() {
      guard case .judged(var document) = part, document.picture == nil,
        let found = lone.firstIndex(where: { $0.path == document.recording.path })
      else { continue }
      document.picture = lone.remove(at: found).picture
      parts[number] = .judged(document)
    }
  }
}

extension TestSuite {
  /// nil: a timeline alone says too little.
  fileprivate init?(_ part: HTMLReport.Part) {
    switch part {
    case .judged(let document): self.init(document, failOn: document.analysis.failOn)
    case .refused(let path, let sentence): self.init(unreadable: path, because: sentence)
    case .timeline: return nil
    }
  }
}
