import Ptrauth
import Replay
import Testing
import Trace

/// Findings of a recording that is still being made.
struct StreamReplayTests {
  /// A vCPU moves from pCPU 1 to pCPU 0 and enters with the bits still set; meanwhile pCPU 2 shows itself once.
  private func staleEnable() -> Script {
    var script = Script()
    var v = Script.VCPU()
    var other = Script.VCPU()
    other.cpu = 2
    other.tid = 7
    script.switchTasks(other, to: 0)
    v.cpu = 1
    script.load(v)
    script.trap(v)
    script.run(v, hcr: Script.enabled)
    script.put(v, hcr: Script.enabled)
    var idle = v
    idle.pid = 0
    script.switchTasks(idle, to: 0)
    v.cpu = 0
    v.hostContext += 0x1000
    script.load(v, hcr: Script.enabled)
    script.run(v, hcr: Script.enabled)
    script.put(v, hcr: Script.enabled)
    return script
  }

  private final class Said {
    var rules: [String] = []
  }

  private func stream(_ script: Script, _ said: Said) -> StreamReplay {
    var configuration = script.configuration
    configuration.recordedEvents = []
    let replay = StreamReplay(configuration) { entry in
      if case .finding(let rule, _, _, _) = entry { said.rules.append(rule.id) }
    }
    for event in script.recordedEvents { replay.learn(event) }
    return replay
  }

  @Test func silenceLetsItBeSaidOnce() {
    let script = staleEnable()
    let said = Said()
    let replay = stream(script, said)
    for event in script.events { replay.consume(event) }
    #expect(said.rules.isEmpty, "pCPU 2 has not written again")
    replay.silent()
    replay.silent()
    #expect(said.rules == ["stale-enable"])
    let analysis = replay.finish(isCut: false, lostSamples: 0)
    #expect(said.rules == ["stale-enable"])
    #expect(analysis.findings.filter(\.rule.isCorrectness).map(\.rule.id) == ["stale-enable"])
    #expect(analysis.findings.first?.count == 1)
    // The same as of a file.
    #expect(script.correctnessRules == ["stale-enable"])
  }

  /// A pCPU that is silent for ever does not hold it back, while others go on.
  @Test func timeLetsItBeSaid() {
    var script = staleEnable()
    let said = Said()
    let replay = stream(script, said)
    for event in script.events { replay.consume(event) }
    let before = script.events.count
    var other = Script.VCPU()
    other.tid = 8
    for now in stride(from: UInt64(0), to: 1000, by: 50) {
      script.switchTasks(other, to: 9)
      replay.consume(script.events[script.events.count - 1])
      replay.drained(at: now)
      #expect(said.rules.isEmpty == (now < 400), "at \(now) ms")
    }
    #expect(script.events.count > before)
  }

  /// The last event of a run comes, and then nothing for a while: what it shows is said.
  @Test func aRunThatIsOverIsJudgedInSilence() {
    var script = staleEnable()
    script.events.removeLast()
    let said = Said()
    let replay = stream(script, said)
    for event in script.events { replay.consume(event) }
    replay.silent()
    #expect(said.rules == ["stale-enable"])
    let analysis = replay.finish(isCut: false, lostSamples: 0)
    #expect(said.rules == ["stale-enable"])
    #expect(analysis.findings.first?.count == 1)
  }

  /// A loss that turns up after all takes it back, and the report does not have it.
  @Test func aLossWithdrawsIt() {
    let script = staleEnable()
    let said = Said()
    let replay = stream(script, said)
    for event in script.events { replay.consume(event) }
    replay.silent()
    #expect(replay.takeWithdrawn().isEmpty)
    replay.consume(
      Event(time: script.time + 1000, cpu: 2, pid: -1, tid: -1, payload: .lost(count: 3)))
    #expect(replay.takeWithdrawn().count == 1)
    #expect(replay.takeWithdrawn().isEmpty)
    let analysis = replay.finish(isCut: false, lostSamples: 0)
    #expect(!analysis.findings.contains { $0.rule.isCorrectness })
    #expect(analysis.verdict == .incomplete)
  }

  /// A stream that has lost events may have more to tell: nothing is said before every pCPU has written.
  @Test func aLossyStreamWaitsForEveryCPU() {
    var script = staleEnable()
    script.time += SequenceBreaks.edge * 2
    let said = Said()
    let replay = stream(script, said)
    for event in script.events { replay.consume(event) }
    _ = replay.takeWithdrawn()
    replay.consume(Event(time: script.time, cpu: 3, pid: -1, tid: -1, payload: .lost(count: 3)))
    let offset = script.time
    for event in script.events {
      var later = event
      later.time += offset
      replay.consume(later)
    }
    replay.silent()
    #expect(said.rules.isEmpty)
  }

  /// A loss of the pCPU that all wait for is heard before anything stands.
  @Test func aLossOnTheSlowestCPUComesFirst() {
    var script = staleEnable()
    let last = script.time
    for cpu in [0, 1] as [Int32] {
      var other = Script.VCPU()
      other.cpu = cpu
      other.tid = 8
      script.switchTasks(other, to: 9)
    }
    script.time = last + 5000
    script.events.append(
      Event(time: script.time, cpu: 2, pid: -1, tid: -1, payload: .lost(count: 3)))
    #expect(script.correctnessRules.isEmpty)
  }
}
