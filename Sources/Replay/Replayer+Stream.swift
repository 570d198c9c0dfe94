import Ptrauth
public import Trace

// A recording that is still being made.
//
// What the events of one thread prove is said at once. A stale enable rests on something not having happened on
// any pCPU, so it waits until every pCPU has written again: a loss is known only then. Of a stream that can take for
// ever, so it is *announced* when it would stand if the recording ended here, and stays waiting: the report holds it
// only if it stands, and if a loss turns up after all, it is withdrawn.
//
//     pCPU 0  ── exit ─ put ─ sched_switch to idle ·························  writes nothing more
//     pCPU 1          load ─ entry(API=1) ─ exit ── events ── events ── silence
//                     └────── window ───────────┘   a while ──▶│ announced
//
// Why no later event refutes it: the writer merges all pCPUs by time (trace_pipe; perf, a round at a time), so
// when it has gone on for a while beyond the window, or has fallen silent, nothing older is left to come but
// what was lost. A ring buffer loses what was not read in time, and tells with the pCPU's next event. A pCPU
// from which a loss of this window is still to be told has written more than its buffer holds since, and none
// of it has been read: not so if its last event was the switch to its idle task, or came after the window,
// and no pCPU has lost anything yet. A stream that ever lost an event is not trusted: its stale enables wait for every
// pCPU's word.
extension Replayer {
  /// Announces stale enables whose run ended before `time`, if they would stand at the end.
  mutating func announce(endedBefore time: UInt64) {
    guard !pendingFindings.isEmpty, lossesSeen == 0, breaks.count(until: lastTime) == 0 else {
      return
    }
    var waiting = pendingFindings
    for found in waiting.announce(before: time, where: { !mayLackEvents($0) }) { say(found) }
    pendingFindings = waiting
  }

  /// Judges runs that are over though their thread has not gone on, where no later event can say more
  /// about them.
  mutating func judgeEndedRuns() {
    for tid in threads.keys.sorted() {
      guard let run = threads[tid]?.run, run.exit != nil, !run.isJudged, run.entrySample != nil,
        !run.mayBeKeyTrap, vcpus[run.vcpu].state.feature != .unknown
      else { continue }
      judgeAlone(run)
      threads[tid]?.run?.isJudged = true
    }
  }

  /// Entries whose stale enable was announced and does not stand, since the last call.
  mutating func takeWithdrawn() -> [Moment] {
    defer { withdrawn = [] }
    return withdrawn
  }
}

/// Replays a stream while it comes.
public final class StreamReplay {
  private var replayer: Replayer
  private var hindsight = Hindsight(milliseconds: StreamReplay.delay)

  /// How long the writer has to go on beyond a stale enable before it is announced, in milliseconds of the
  /// reader's clock. With what an event waits for older ones it is well below a second.
  static let delay: UInt64 = 400

  /// - Parameter timeline: called for every line of the timeline, as soon as it is known.
  public init(_ configuration: Replayer.Configuration, timeline: @escaping (TimelineEntry) -> Void)
  {
    replayer = Replayer(configuration, timeline: timeline)
  }

  public func consume(_ event: borrowing Event) { replayer.consume(event) }

  public func learn(_ event: RecordedEvent) { replayer.learn(event) }

  /// All that has come is replayed. `now`: milliseconds of a clock that only goes forward.
  public func drained(at now: UInt64) {
    guard let reached = hindsight.note(replayer.lastTime, at: now) else { return }
    replayer.announce(endedBefore: reached)
  }

  /// The writer has been silent for a while, and would have written what it knows.
  public func silent() {
    replayer.judgeEndedRuns()
    replayer.announce(endedBefore: .max)
  }

  /// See ``Replayer/takeWithdrawn()``.
  public func takeWithdrawn() -> [Moment] { replayer.takeWithdrawn() }

  public func finish(isCut: Bool, lostSamples: UInt64) -> Analysis {
    replayer.finish(isCut: isCut, lostSamples: lostSamples)
  }
}
