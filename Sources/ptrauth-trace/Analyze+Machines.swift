import Bytes
import Replay
import Report

extension Analyze {
  /// One report of all recordings for a CI system. A recording that cannot be read is an error in it: a
  /// line in a log would be lost.
  func analyze(_ groups: RecordingGroups, as report: MachineReport) throws -> Outcome {
    let sink = try ByteSink(path: output.output)
    var suites: [TestSuite] = []
    var worst = Outcome.clean
    var found = KnownFindings()
    for path in groups.recordings {
      do {
        var document = try replay(
          try Session(recording: path, kernel, guests: groups.guests[path] ?? []), to: sink)
        found.add(document)
        if groups.recordings.count > 1 { document.analysis.known?.gone = [] }
        for warning in document.recording.warnings { complain("warning: \(warning)") }
        suites.append(TestSuite(document, failOn: verdict.failOn.severity))
        worst = max(worst, Outcome(document.analysis))
      } catch let problem as Problem {
        complain(problem.sentence)
        suites.append(TestSuite(unreadable: path, because: problem.sentence))
        worst = max(worst, .cannotJudge)
      }
    }
    try sink.write(report.render(suites))
    try sink.finish()
    try report.writeSummary(suites)
    if groups.recordings.count > 1 { for line in try known.missing(in: found) { complain(line) } }
    try known.write(found, besides: output.output)
    return worst
  }
}
