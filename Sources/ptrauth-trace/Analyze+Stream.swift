import Bytes
import Replay
import Report
import Trace

extension Analyze {
  /// Replays a stream: findings are written as they come, before the report. They go to where the report goes
  /// if that is text on standard output, and to standard error otherwise; `jsonl` has them in its timeline.
  func replayStream(_ session: Session, to sink: ByteSink) throws -> Document {
    let isInline = format == .text && output.isStandardOutput
    var live = LiveFindings(style: Style(isColoured: output.isColoured && isInline))
    var lines = TimelineLines()
    var failure: ByteSinkError?
    var count = 0
    func attempt(_ write: () throws(ByteSinkError) -> Void) {
      guard failure == nil else { return }
      do throws(ByteSinkError) { try write() } catch {
        failure = error
        session.endStream()
      }
    }
    func show(_ text: String) {
      count += 1
      if isInline {
        attempt { () throws(ByteSinkError) in try sink.write(text) }
      } else if !output.quiet {
        ProcessState.complain(lines: String(text.dropLast()))
      }
    }
    if isInline, !output.quiet, ProcessState.standardOutputIsTerminal {
      ProcessState.complain("ptrauth-trace: reading a stream; Ctrl-C ends it and prints the report")
    }
    if format == .jsonl { attempt { () throws(ByteSinkError) in try sink.write(lines.begin()) } }
    let analysis = try session.replayStream { entry in
      if format == .jsonl {
        attempt { () throws(ByteSinkError) in try sink.write(lines.add(entry)) }
      } else if let text = live.line(entry) {
        show(text)
      }
    } pause: {
      attempt { () throws(ByteSinkError) in try sink.drain() }
    }
    if let text = live.rest() { show(text) }
    if count > 0, isInline { attempt { () throws(ByteSinkError) in try sink.write("\n") } }
    if let failure { throw failure }
    return try document(analysis, of: session)
  }
}
