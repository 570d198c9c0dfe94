import Bytes
import Fleet
import Replay
import Report

extension Analyze {
  /// A line for each recording as it is judged. One that cannot be read has its line too: nothing of a fleet is lost.
  func summarize(_ groups: RecordingGroups) throws -> Outcome {
    if let path = Folder.firstTwice(in: groups.recordings) {
      throw Problem("\(path) is given twice, by its folder too: it would count twice")
    }
    let sink = try ByteSink(path: output.output)
    let labels = label.labels
    var worst = Outcome.clean
    var found = KnownFindings()
    for path in groups.recordings {
      do {
        let document = try replay(
          try Session(recording: path, kernel, guests: groups.guests[path] ?? []), to: sink)
        found.add(document)
        if !output.quiet {
          for warning in document.recording.warnings {
            ProcessState.complain("ptrauth-trace: warning: \(warning)")
          }
        }
        try sink.write(
          SummaryReport.line(Tally(document), of: Group(document, labels: labels)))
        worst = max(worst, Outcome(document.analysis))
      } catch let problem as Problem {
        ProcessState.complain("ptrauth-trace: \(problem.sentence)")
        let tally = Tally(
          unreadable: path, because: problem.sentence,
          files: [kernel.vmlinux, kernel.formats, kernel.types.btf].compactMap(\.self))
        let unknown = Group(Group.Kernel(release: nil, buildID: nil), labels: labels)
        try sink.write(SummaryReport.line(tally, of: unknown))
        worst = max(worst, .cannotJudge)
      }
    }
    try sink.finish()
    try known.write(found, besides: output.output)
    return worst
  }
}
