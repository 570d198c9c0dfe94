import Ptrauth
import Replay
import Testing
import Trace
import ptrauth_trace

/// What is lost may hide a fault, but must never make one: recordings of working kernels with holes cut
/// into them, and the ground truth of what is left.
struct LossTests {
  /// A pCPU's events vanish between two times.
  struct Hole {
    var cpu: Int32
    var begin: UInt64
    var end: UInt64
    func swallows(_ event: Event) -> Bool {
      event.cpu == cpu && event.time >= begin && event.time < end
    }
  }

  static let working = Corpus.all.filter { !$0.isLossy && $0.fact("planted fault") == "none" }

  @Test(arguments: working)
  func lossesThatAreRecorded(corpus: Corpus) throws {
    try holes(in: corpus, areSaid: true)
  }

  /// perf 6.1 with -z can lose the end of a pCPU's buffer without a word.
  @Test(arguments: working)
  func tailsThatVanish(corpus: Corpus) throws {
    try holes(in: corpus, areSaid: false)
  }

  /// A fault is still found outside the holes, and nothing that is not its consequence.
  @Test(
    arguments: Corpus.all.filter { RecordingTests.rules[$0.fact("planted fault") ?? ""] != nil })
  func faultsOutsideLosses(corpus: Corpus) throws {
    guard corpus.hasProbes, let fault = corpus.fact("planted fault"),
      let (expected, consequences) = RecordingTests.rules[fault]
    else { return }
    let session = try Session(
      recording: corpus.recording, vmlinux: corpus.vmlinux, generation: nil)
    let events = try corpus.events()
    let begin = events.first?.time ?? 0
    let length = (events.last?.time ?? 0) - begin
    for seed in UInt64(1)...4 {
      var random = SplitMix(state: seed)
      let holes = (0..<4).map { _ in
        let start = begin + random.next() % max(1, length)
        return Hole(cpu: Int32(random.next() % 4), begin: start, end: start + length / 50)
      }
      let analysis = session.replay(left(of: events, holes, areSaid: true), timeline: nil)
      let found = Set(analysis.findings.filter(\.rule.isCorrectness).map(\.rule.id))
      #expect(found.contains(expected), "seed \(seed)")
      #expect(found.subtracting(consequences + [expected]).isEmpty, "seed \(seed): \(found)")
      #expect(analysis.isIncomplete)
    }
  }

  private func holes(in corpus: Corpus, areSaid: Bool) throws {
    let session = try Session(
      recording: corpus.recording, vmlinux: corpus.vmlinux, generation: nil)
    let events = try corpus.events()
    let begin = events.first?.time ?? 0
    let length = (events.last?.time ?? 0) - begin
    var timelines: [[Run]] = []
    for seed in UInt64(1)...6 {
      var random = SplitMix(state: seed)
      var holes: [Hole] = []
      for _ in 0..<(areSaid ? 1 + Int(seed) * 3 : 1) {
        let start = begin + random.next() % max(1, length)
        let end = areSaid ? start + random.next() % (length / 20) : UInt64.max
        holes.append(Hole(cpu: Int32(random.next() % 4), begin: start, end: end))
      }
      var runs: [Run] = []
      let analysis = session.replay(
        left(of: events, holes, areSaid: areSaid),
        timeline: { if case .run(let run) = $0 { runs.append(run) } })
      let found = analysis.findings.filter(\.rule.isCorrectness)
      #expect(found.isEmpty, "seed \(seed): \(found.map(\.rule.id)) on a working kernel")
      if areSaid { #expect(analysis.verdict == .incomplete, "seed \(seed)") }
      timelines.append(runs)
    }
    for (score, seed) in zip(try TruthScore.of(timelines, corpus), 1...) {
      #expect(score.contradict == 0, "seed \(seed): \(score.examples)")
    }
  }

  /// What a recorder with these holes would have written: each hole is told of when its pCPU's next
  /// event is written.
  private func left(of events: [Event], _ holes: [Hole], areSaid: Bool) -> [Event] {
    var result: [Event] = []
    var pending: [Int32: UInt64] = [:]
    for event in events {
      if holes.contains(where: { $0.swallows(event) }) {
        pending[event.cpu, default: 0] += 1
        continue
      }
      if areSaid, let count = pending.removeValue(forKey: event.cpu) {
        result.append(
          Event(time: event.time, cpu: event.cpu, pid: -1, tid: -1, payload: .lost(count: count)))
      }
      result.append(event)
    }
    return result
  }
}

/// Fixed seeds, so that a failure names its own reproduction.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

func copyOf(_ event: borrowing Event) -> Event {
  Event(
    time: event.time, cpu: event.cpu, pid: event.pid, tid: event.tid, payload: event.payload)
}
