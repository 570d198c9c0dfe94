import Bytes
import Replay
import Trace

extension Session {
  /// It is a stream, perhaps one that is still being written.
  var isStream: Bool { watch != nil }

  /// Runs a stream through the model while it comes.
  ///
  /// - Parameters:
  ///   - timeline: called as soon as something is known.
  ///   - pause: called when all that has come is replayed.
  func replayStream(
    timeline: @escaping (TimelineEntry) -> Void, pause: @escaping () -> Void
  ) throws(Problem) -> Analysis {
    let replay = StreamReplay(configuration(false), timeline: timeline)
    let complain = {
      for entry in replay.takeWithdrawn() {
        ProcessState.complain(
          "ptrauth-trace: what was said of the entry of thread \(entry.tid) at "
            + "\(entry.time / 1_000_000) ms is withdrawn: events around it were lost")
      }
    }
    let observer = StreamObserver(
      learned: replay.learn,
      drained: { now in
        replay.drained(at: now)
        complain()
        pause()
      },
      silent: {
        replay.silent()
        pause()
      })
    let counter = instructionCounter()
    do {
      try file.readEvents(observer: observer, instructions: counter?.take) {
        note($0)
        replay.consume($0)
        counter?.note($0)
      }
    } catch { throw Problem("\(error)") }
    complain()
    var analysis = replay.finish(
      isCut: file.recording.isIncomplete, lostSamples: file.losses.samples)
    finish(counter, &analysis)
    analysis.name(file.recording.threadNames)
    return analysis
  }

  /// Ends a stream as if it had ended itself.
  func endStream() { watch?.end() }
}
