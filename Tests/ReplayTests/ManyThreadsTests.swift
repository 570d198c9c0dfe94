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
    let few = time(shape, 1000)
    #expect(time(shape, 4000) < 8 * few + 0.05)
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
