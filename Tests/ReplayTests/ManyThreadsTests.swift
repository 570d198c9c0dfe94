import Ptrauth
import Replay
import Testing
import Trace

/// What a loss, a silence or a finding takes does not grow with all threads, vCPUs and pCPUs that there ever were: a text of a
/// megabyte can have thousands of them, and a loss behind each.
struct ManyThreadsTests {
  enum Shape: CaseIterable {
    case losses, lossesWithOpenRuns, silences, silencesInGuests, silencesOfManyCPUs, findings
  }

  /// Seconds of a processor for `count` threads, each with what `shape` says.
  private func time(_ shape: Shape, _ count: Int) -> Double {
    var script = Script()
    script.samplesKeys = false
    let threads = (0..<count).map { number in
      var v = Script.VCPU()
      v.pointer += UInt64(number) << 16
      v.tid += Int32(number)
      v.cpu = shape == .silencesOfManyCPUs || shape == .silencesInGuests ? Int32(number) : 1
      return v
    }
    var other = Script.VCPU()
    (other.tid, other.pid, other.cpu) = (90, 90, 0)
    for v in threads {
      script.add(v, .entry(pc: 0))
      // What another thread does there takes the pCPU out of the guest, and leaves the run open.
      if shape == .lossesWithOpenRuns || shape == .silences {
        other.cpu = v.cpu
        script.add(other, .exit(ret: 0, ec: 0, pc: 0))
      } else if shape != .silencesInGuests {
        script.add(v, .exit(ret: 2, ec: 9, pc: 0x10))
      }
    }
    other.cpu = 0
    for v in threads {
      switch shape {
      case .losses, .lossesWithOpenRuns:
        script.add(other, .lost(count: 1))
      case .silences, .silencesInGuests, .silencesOfManyCPUs: script.time += 2 * Silences.shortest
      case .findings:
        script.probe(.flush, v, hcr: EnableBits.apiMask | 1)
        script.add(v, .entry(pc: 0))
        script.add(v, .exit(ret: 2, ec: 9, pc: 0x10))
      }
      script.add(other, .entry(pc: 0))
      if shape == .silencesOfManyCPUs { script.add(other, .exit(ret: 0, ec: 0, pc: 0)) }
    }
    return processorTime { _ = script.replay() }
  }

  @Test(arguments: Shape.allCases)
  func theLastTakesNoLongerThanTheFirst(shape: Shape) {
    // (All of them for each would be sixteen times as long.)
    #expect(isLinear({ time(shape, 1000) }, { time(shape, 4000) }))
  }
}

/// The same where each event could look at all threads, vCPUs or findings that wait.
struct CrowdTests {
  private let on = Script.enabled

  private func vcpu(_ number: Int, process: Int32 = 100) -> Script.VCPU {
    var v = Script.VCPU()
    v.pointer &+= UInt64(truncatingIfNeeded: number) << 16
    v.number = Int32(number)
    v.tid = 1000 + Int32(number)
    v.pid = process
    return v
  }

  private func time(_ script: Script) -> Double { processorTime { _ = script.replay() } }

  /// Stale enables of `count` vCPUs, which wait for a pCPU that never writes again; a third one loses events behind each
  /// of `losses` of them.
  private func waiting(_ count: Int, losses: Int) -> Script {
    var script = Script()
    script.samplesKeys = false
    var silent = vcpu(-2)
    silent.cpu = 2
    script.switchTasks(silent, to: 0)
    for number in 0..<count {
      let v = vcpu(number)
      // The first may follow a handler that was under way.
      for _ in 0..<2 {
        script.load(v, hcr: on)
        script.run(v, hcr: on)
        script.put(v, hcr: on)
      }
    }
    var other = vcpu(-1)
    other.cpu = 3
    script.switchTasks(other, to: 0)
    for _ in 0..<losses { script.add(other, .lost(count: 1)) }
    return script
  }

  @Test func findingsThatWait() {
    let limit = PendingFindings.limit
    // Twice the limit: for half of them it is looked which are like them.
    #expect(
      isLinear(
        { time(waiting(limit / 2, losses: 0)) }, { time(waiting(2 * limit, losses: 0)) }))
  }

  @Test func lossesBehindFindingsThatWait() {
    #expect(
      isLinear({ time(waiting(2000, losses: 2000)) }, { time(waiting(8000, losses: 8000)) }))
  }

  /// Threads that were once seen to save keys of their own, and then run on keys that none of them had.
  private func keys(_ count: Int) -> Script {
    var script = Script()
    for (round, number) in (0..<2).flatMap({ round in (0..<count).map { (round, $0) } }) {
      var v = vcpu(number)
      v.host = KeySlots(seed: round == 0 ? 1 : UInt64(2 + count + number))
      script.switchTasks(vcpu(-1), to: v.tid)
      script.load(v)
      script.trap(v)
      if round == 0 { v.host = KeySlots(seed: UInt64(2 + number)) }
      script.run(v, hcr: on)
      script.put(v, hcr: on)
      script.add(v, .userspaceExit(reason: 6, errno: 0))
    }
    return script
  }

  @Test func threadsWhoseKeysAreKnown() {
    #expect(isLinear({ time(keys(2000)) }, { time(keys(8000)) }))
  }

  /// vCPUs, and as many handlers that were moved while another process relied on the slots.
  private func moves(_ count: Int) -> Script {
    var script = Script()
    for number in 2..<count { script.add(vcpu(number), .entry(pc: 0)) }
    for _ in 0..<count / 4 {
      var a = vcpu(0)
      let b = vcpu(1, process: 200)
      script.moveHandler(of: &a, to: b)
      script.put(a, hcr: on)
      script.put(b, hcr: on)
    }
    return script
  }

  @Test func handlersThatMove() {
    #expect(moves(4).finding(.preemptibleHostSave, .suspected) != nil)
    #expect(isLinear({ time(moves(2000)) }, { time(moves(8000)) }))
  }

  /// What is counted as one beyond the limit is what was like it last, as it is by then.
  @Test func allAreCountedBeyondTheLimit() {
    let count = PendingFindings.limit + 3000
    let analysis = waiting(count, losses: 0).replay().analysis
    let found = analysis.findings.filter { $0.rule == .staleEnable }
    #expect(found.map(\.count).reduce(0, +) == UInt64(count))
  }
}

/// A run on another pCPU than the one that lost events goes on; what is lost later, there, ends it.
struct LingeringRunTests {
  private let v = Script.VCPU()

  /// Losses and silences between the entry of a run and its exit.
  private func run(_ between: (inout Script, _ elsewhere: Script.VCPU) -> Void) -> [Run] {
    var script = Script()
    var elsewhere = v
    (elsewhere.tid, elsewhere.cpu, elsewhere.pointer) = (201, 1, 0xffff_0000_0200_0000)
    script.load(elsewhere)
    script.run(elsewhere, hcr: 0)
    script.load(v)
    script.probe(.flush, v, hcr: 0)
    script.add(v, .entry(pc: 0x4000_0000))
    between(&script, elsewhere)
    script.add(v, .exit(ret: 2, ec: 0x24, pc: 0x4000_0010))
    return script.replay().timeline.runs.filter { $0.tid == v.tid }
  }

  @Test func aLossElsewhereLeavesIt() {
    let runs = run { script, elsewhere in
      for _ in 0..<3 { script.add(elsewhere, .lost(count: 1)) }
    }
    #expect(runs.count == 1 && runs.first?.exit != nil)
    #expect(runs.first?.atEntry.bits == .clear)
  }

  @Test(arguments: 0...3)
  func aLossOnItsOwnEndsIt(lossesBefore: Int) {
    let runs = run { script, elsewhere in
      for _ in 0..<lossesBefore { script.add(elsewhere, .lost(count: 1)) }
      script.add(v, .lost(count: 1))
    }
    #expect(runs.count == 1 && runs.first?.exit == nil)
  }

  /// Behind a silence its exit may be another run's.
  @Test(arguments: [0, 1], [0, 1])
  func aSilenceTakesWhatWasSampled(lossesBefore: Int, lossesAfter: Int) {
    let runs = run { script, elsewhere in
      for _ in 0..<lossesBefore { script.add(elsewhere, .lost(count: 1)) }
      for _ in 0..<2 {
        script.time += 2 * Silences.shortest
        script.add(elsewhere, .userspaceExit(reason: 0, errno: 0))
      }
      for _ in 0..<lossesAfter { script.add(elsewhere, .lost(count: 1)) }
    }
    #expect(runs.count == 1 && runs.first?.exit != nil)
    #expect(runs.first?.atEntry.bits == .unknown)
    let ended = run { script, elsewhere in
      for _ in 0..<lossesBefore { script.add(elsewhere, .lost(count: 1)) }
      script.time += 2 * Silences.shortest
      script.add(elsewhere, .userspaceExit(reason: 0, errno: 0))
      for _ in 0..<lossesAfter { script.add(elsewhere, .lost(count: 1)) }
      script.add(v, .lost(count: 1))
    }
    #expect(ended.count == 1 && ended.first?.exit == nil)
  }
}
