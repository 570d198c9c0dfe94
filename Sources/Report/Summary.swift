import Ptrauth
public import Replay

/// Several recordings of one call: how each was judged.
public struct Summary: Sendable {
  public struct Line: Sendable {
    public var path: String
    public var result: Result

    public init(path: String, result: Result) {
      self.path = path
      self.result = result
    }

    /// findings | incomplete | cannot judge | clean | unusable, as in the document of the recording.
    public var verdict: Analysis.Verdict {
      switch result {
      case .judged(let analysis): analysis.verdict
      case .refused: .unusable
      }
    }
  }

  public enum Result: Sendable {
    case judged(Analysis)
    /// There is no report: why, in a sentence.
    case refused(String)
  }

  public var lines: [Line] = []

  public init() {}

  /// What the reports on a terminal end with.
  public func text(style: Style) -> String {
    var page = Page(style)
    page.sentence(
      style.bold("SUMMARY") + " of \(counted(UInt64(lines.count), "recording"))\(filtered): "
        + [Analysis.Verdict.findings, .incomplete, .cannotJudge, .unusable, .clean].compactMap {
          verdict in
          let count = lines.count { $0.verdict == verdict }
          return count == 0 ? nil : "\(count) \(verdict.word)"
        }.joined(separator: ", "))
    page.line()
    let width = lines.map(\.path.count).max() ?? 0
    for line in lines {
      page.paragraph(
        "  " + line.verdict.word.padded(13) + line.path.padded(width) + "  ", detail(line.result))
    }
    return page.text
  }

  private var filtered: String {
    for case .judged(let analysis) in lines.map(\.result) {
      if let selection = analysis.selection { return " (\(selection.words))" }
    }
    return ""
  }

  private func detail(_ result: Result) -> String {
    switch result {
    case .refused(let sentence): return sentence
    case .judged(let analysis):
      let rules = analysis.findings.filter(\.rule.isCorrectness).map(\.rule.id)
      let unique = rules.enumerated().filter { rules.firstIndex(of: $0.element) == $0.offset }
      let runs = analysis.vcpus.reduce(0) { $0 + $1.counters.runs }
      if !unique.isEmpty { return unique.map(\.element).joined(separator: ", ") }
      let hidden = (analysis.requiredNotJudged + analysis.criticalNotJudged).map(\.rule.id)
      let names = hidden.enumerated().filter { hidden.firstIndex(of: $0.element) == $0.offset }
      let isFollowed = [.clean, .cannotJudge].contains(analysis.verdict)
      return "\(counted(UInt64(analysis.vcpus.count), "vCPU")), \(counted(runs, "run"))"
        + (isFollowed && !names.isEmpty
          ? "; not judged: " + names.map(\.element).joined(separator: ", ") : "")
    }
  }
}

/// `--format jsonl`: a line after the timeline of each recording, and of several a line before it.
///
///     recording   path
///     verdict     path, verdict; reason, judged, criticalNotJudged, requiredNotJudged and coverage as in the JSON
///                 document; findings [{rule, level, count}] as they stand: their lines were written as they came, and
///                 what came later may have lowered them; or error (a sentence, if the recording cannot be read)
public enum SummaryLines {
  public static func recording(_ path: String) -> [UInt8] {
    line("recording", path) { _ in }
  }

  public static func verdict(_ of: Summary.Line) -> [UInt8] {
    line("verdict", of.path) { json in
      switch of.result {
      case .judged(let analysis):
        JSONReport.verdict(analysis, &json)
        json.key("findings")
        json.array { json in
          for finding in analysis.findings {
            json.object { json in
              json.field("rule", finding.rule.id)
              json.field("level", finding.level.word)
              json.field("count", finding.count)
            }
          }
        }
      case .refused(let sentence):
        json.field("verdict", of.verdict.word)
        json.field("error", sentence)
      }
    }
  }

  private static func line(
    _ type: String, _ path: String, _ body: (inout JSONWriter) -> Void
  ) -> [UInt8] {
    var json = JSONWriter(pretty: false)
    json.object { json in
      json.field("type", type)
      json.field("path", path)
      body(&json)
    }
    json.newline()
    return json.bytes
  }
}

extension JSONReport {
  /// Stands for the document of a recording that cannot be read, among those of others.
  public static func refused(path: String, sentence: String) -> [UInt8] {
    var json = JSONWriter(pretty: true)
    json.object { json in
      json.begin(.analysis)
      json.key("recording")
      json.object { $0.field("path", path) }
      json.field("verdict", Analysis.Verdict.unusable.word)
      json.field("error", sentence)
    }
    json.newline()
    return json.bytes
  }
}
