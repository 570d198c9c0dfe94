import Bytes
import Replay
import Report
import Trace

extension Analyze {
  /// One report after another, then the summary. A recording that cannot be read is said in its place and
  /// does not keep the others from being read.
  func analyzeSeveral(_ paths: [String]) throws -> Outcome {
    let sink = try sink(pages: !paths.contains("-"))
    var summary = Summary()
    var worst = Outcome.clean
    // A page is written whole.
    var pages: [HTMLReport.Part] = []
    for path in paths {
      if format == .json { try sink.write(summary.lines.isEmpty ? "[\n" : ",\n") }
      if format == .jsonl { try sink.write(SummaryLines.recording(path)) }
      do {
        let document = try replay(try Session(recording: path, kernel), to: sink)
        if format == .html {
          pages.append(.judged(document))
        } else {
          try write(document, to: sink)
        }
        summary.lines.append(Summary.Line(path: path, result: .judged(document.analysis)))
        worst = max(worst, outcome(document))
      } catch let problem as Problem {
        complain(problem.sentence)
        summary.lines.append(Summary.Line(path: path, result: .refused(problem.sentence)))
        worst = max(worst, .cannotJudge)
        if format == .html { pages.append(.refused(path: path, problem.sentence)) }
        if format == .json {
          try sink.write(JSONReport.refused(path: path, sentence: problem.sentence))
        }
      }
      if format == .text, case .judged = summary.lines.last?.result { try sink.write("\n\n") }
      if format == .jsonl, let line = summary.lines.last {
        try sink.write(SummaryLines.verdict(line))
      }
    }
    switch format {
    case .text: try sink.write(summary.text(style: Style(isColoured: output.isColoured)))
    case .json: try sink.write("]\n")
    case .html: try sink.write(HTMLReport.render(pages))
    default: break
    }
    try sink.flush()
    return worst
  }

  func complain(_ sentence: String) {
    if !output.quiet { ProcessState.complain("ptrauth-trace: \(sentence)") }
  }
}
