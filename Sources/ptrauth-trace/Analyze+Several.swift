import Bytes
import Replay
import Report
import Trace

extension Analyze {
  /// One report after another, then the summary. A recording that cannot be read is said in its place and
  /// does not keep the others from being read.
  ///
  /// - Parameter log: an instruction-level log of the run that the first of them recorded.
  func analyzeSeveral(_ groups: RecordingGroups, _ log: String?) throws -> Outcome {
    let paths = groups.recordings
    let sink = try sink(pages: !paths.contains("-"))
    var summary = Summary()
    var worst = Outcome.clean
    var found = KnownFindings()
    // A page is written whole.
    var pages: [HTMLReport.Part] = []
    // Of a directory the summary comes first.
    let isSummaryFirst = format == .text && !groups.folders.isEmpty
    var texts: [String] = []
    var kernelOfLog: KernelBinding?
    for path in paths {
      if format == .json { try sink.write(summary.lines.isEmpty ? "[\n" : ",\n") }
      if format == .jsonl { try sink.write(SummaryLines.recording(path)) }
      do {
        let session = try Session(recording: path, kernel, guests: groups.guests[path] ?? [])
        if kernelOfLog == nil { kernelOfLog = session.binding }
        var document = try replay(session, to: sink)
        found.add(document)
        document.analysis.known?.gone = []
        if format == .html {
          pages.append(.judged(document))
        } else if isSummaryFirst {
          warn(of: document)
          texts.append("\n\n" + text(document))
        } else {
          try write(document, to: sink)
        }
        summary.lines.append(Summary.Line(path: path, result: .judged(document.analysis)))
        worst = max(worst, Outcome(document.analysis))
      } catch let problem as Problem {
        complain(problem.sentence)
        summary.lines.append(Summary.Line(path: path, result: .refused(problem.sentence)))
        worst = max(worst, .cannotJudge)
        if format == .html { pages.append(.refused(path: path, problem.sentence)) }
        if format == .json {
          try sink.write(JSONReport.refused(path: path, sentence: problem.sentence))
        }
      }
      if format == .text, !isSummaryFirst, case .judged = summary.lines.last?.result {
        try sink.write("\n\n")
      }
      if format == .jsonl, let line = summary.lines.last {
        try sink.write(SummaryLines.verdict(line))
      }
    }
    let passes: PassReport?
    if let log { passes = try self.passes(in: log, kernelOfLog) } else { passes = nil }
    switch format {
    case .text:
      try sink.write(summary.text(style: output.style))
      for text in texts { try sink.write(text) }
    case .json:
      if let passes {
        try sink.write(",\n")
        try sink.write(passes.json)
      }
      try sink.write("]\n")
    case .html: try sink.write(HTMLReport.render(pages))
    default: break
    }
    if format == .text, let passes { try write(passes, to: sink) }
    try sink.finish()
    for line in try known.missing(in: found) { complain(line) }
    try known.write(found, besides: output.output)
    return worst
  }

  func complain(_ sentence: String) {
    if !output.quiet { ProcessState.complain("ptrauth-trace: \(sentence)") }
  }
}
