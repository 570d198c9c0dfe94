import Ptrauth
import Replay
import Testing
import Trace

private let on = Script.enabled

/// The cost rules: each beside the sequence that costs the same and is no waste.
struct CostRuleTests {
  @Test func aTrapTakenTwice() {
    var script = Script()
    var v = Script.VCPU()
    script.load(v)
    script.trap(v)
    // Preempted after the handler: the load clears the bits.
    script.switchTasks(v, to: 0)
    script.put(v, hcr: on)
    v.cpu = 1
    v.hostContext += 0x1000
    script.load(v, hcr: on)
    script.trap(v)
    script.run(v, hcr: on)
    script.put(v, hcr: on)
    let finding = script.finding(.wastedTrap)
    #expect(finding?.count == 1 && finding?.cost == Cost(reads: 10, trips: 1))
    #expect(finding?.evidence.map(\.event) == ["kvm_exit", "kvm_arch_vcpu_load", "kvm_exit"])
    #expect(script.correctnessRules == [])
  }

  @Test func aTrapPerIntervalIsNoneTakenTwice() {
    var script = Script()
    let v = Script.VCPU()
    for _ in 0..<3 {
      script.load(v)
      script.trap(v)
      script.run(v, hcr: on)
      script.put(v, hcr: on)
    }
    #expect(script.finding(.wastedTrap) == nil)
    // An enable that lands after the load was of use, too.
    script.events = []
    script.load(v)
    script.trap(v)
    script.put(v)
    script.load(v)
    script.run(v, hcr: on)
    script.put(v, hcr: on)
    script.load(v)
    script.trap(v)
    #expect(script.finding(.wastedTrap) == nil)
  }

  /// A trap is handled and the next entry is as disabled: a guest behind the instruction did not take it again.
  @Test(arguments: [(0x4000_0104, true), (0x4000_0100, false), (0x4000_9000, false)])
  func aTrapThatWasSteppedOver(exit: UInt64, isSuspected: Bool) {
    var script = Script()
    let v = Script.VCPU()
    script.load(v)
    script.trap(v, pc: 0x4000_0100)
    script.run(v, hcr: 0, from: 0x4000_0100, to: exit)
    script.put(v)
    #expect(script.finding(.wastedTrap)?.count == 1)
    #expect(script.finding(.featureDenied, .suspected)?.count == (isSuspected ? 1 : nil))
  }

  @Test func wasteIsNotClaimedAcrossALoss() {
    var script = Script()
    let v = Script.VCPU()
    script.load(v)
    script.trap(v)
    script.put(v, hcr: on)
    script.add(v, .lost(count: 1))
    script.load(v, hcr: on)
    script.trap(v)
    #expect(script.finding(.wastedTrap) == nil)
  }

  @Test(arguments: [(99, false), (100, true), (150, true)] as [(Int, Bool)])
  func undefStorm(traps: Int, isStorm: Bool) {
    var script = Script()
    var v = Script.VCPU()
    v.features = Script.neither
    script.load(v)
    for i in 0..<traps { script.trap(v, pc: 0x4000_0000 + UInt64(i) * 4) }
    let finding = script.finding(.undefStorm)
    #expect((finding != nil) == isStorm)
    if isStorm { #expect(finding?.count == UInt64(traps)) }
    #expect(script.correctnessRules == [])
  }

  @Test func slowUndefsAreNoStorm() {
    var script = Script()
    var v = Script.VCPU()
    v.features = Script.neither
    script.load(v)
    for _ in 0..<300 {
      script.time += 11_000_000
      script.trap(v)
    }
    #expect(script.finding(.undefStorm) == nil)
  }

  @Test func loadsWithoutARun() {
    for (generation, expected) in [(Generation.g6, 2), (.g3s, 2), (.g2, nil), (.g5, nil)]
      as [(Generation, UInt64?)]
    {
      var script = Script()
      script.generation = generation
      let v = Script.VCPU()
      for _ in 0..<2 {
        script.load(v)
        script.put(v)
      }
      script.load(v)
      script.run(v, hcr: generation.load == .sets ? on : 0)
      script.put(v)
      #expect(script.finding(.shortLoad)?.count == expected, "\(generation.name)")
    }
  }

  @Test func savedAtLoadAndNotUsed() {
    var script = Script()
    script.generation = .g3s
    let v = Script.VCPU()
    script.load(v)
    script.run(v, hcr: 0)
    script.put(v)
    script.load(v)
    script.trap(v)
    script.run(v, hcr: on)
    script.put(v, hcr: on)
    #expect(script.finding(.eagerUnused)?.count == 1)
    // Where nothing traps, nobody can tell.
    script.generation = .g6
    #expect(script.finding(.eagerUnused) == nil)
    #expect(
      script.replay().analysis.notObservable.contains { $0.rule == .eagerUnused && $0.applies })
  }

  /// The keys belong to a process, or to a thread where the kernel uses its own APIA.
  @Test(
    arguments: [
      (false, 101, 100, 1), (false, 201, 100, 1), (false, 201, 200, nil), (true, 101, 100, 1),
      (true, 201, 100, nil), (nil, 201, 100, nil),
    ] as [(Bool?, Int32, Int32, UInt64?)])
  func theSameKeysSavedAgain(
    kernelUsesPointerAuth: Bool?, tid: Int32, pid: Int32, expected: UInt64?
  ) {
    var script = Script()
    script.kernelUsesPointerAuth = kernelUsesPointerAuth
    // Sampled slots would tell.
    script.samplesKeys = false
    let first = Script.VCPU()
    var second = Script.VCPU()
    second.tid = tid
    second.pid = pid
    if tid != first.tid { second.pointer += 0x10000 }
    for v in [first, second] {
      script.load(v)
      script.trap(v)
      script.run(v, hcr: on)
      script.put(v, hcr: on)
    }
    #expect(script.finding(.redundantHostSave, .suspected)?.count == expected)
    #expect(script.finding(.redundantHostSave) == nil, "both were restored from")
  }

  @Test func aSaveIsOldAfterALoss() {
    var script = Script()
    script.samplesKeys = false
    let v = Script.VCPU()
    for _ in 0..<2 {
      script.load(v)
      script.trap(v)
      script.run(v, hcr: on)
      script.put(v, hcr: on)
      script.add(v, .lost(count: 1))
    }
    #expect(script.finding(.redundantHostSave, .suspected) == nil)
  }

  @Test func anEarlyTrapIsAReentry() {
    var script = Script()
    script.generation = .g5
    let v = Script.VCPU()
    script.load(v)
    script.run(v, hcr: 0, after: on)
    script.run(v, hcr: on)
    #expect(script.finding(.fastReentry)?.count == 1)
  }

  @Test func phasesOfThrash() {
    func phases(_ trapped: [Bool]) -> [ThrashPhase.Sum] {
      var phase = ThrashPhase()
      var sums: [ThrashPhase.Sum] = []
      func end() {
        if !phase.wouldEnd() { phase.settle() }
        if phase.sum.intervals >= ThrashPhase.least { sums.append(phase.sum) }
        phase = ThrashPhase()
      }
      for (i, value) in trapped.enumerated() {
        if phase.wouldEnd() { end() }
        phase.add(trapped: value, Moment(time: UInt64(i), cpu: 0, tid: 1))
      }
      end()
      return sums
    }
    let yes = { (n: Int) in [Bool](repeating: true, count: n) }
    let no = { (n: Int) in [Bool](repeating: false, count: n) }
    #expect(phases(yes(7)) == [])
    #expect(phases(yes(8)) == [.init(intervals: 8, trapped: 8)])
    #expect(phases(no(5) + yes(8) + no(5)) == [.init(intervals: 8, trapped: 8)])
    #expect(phases(yes(9) + no(1) + yes(9)) == [.init(intervals: 19, trapped: 18)])
    #expect(phases(yes(8) + no(1) + yes(8)).count == 2)
    #expect(phases(yes(6) + no(1) + yes(6)) == [])
    #expect(phases([]) == [] && phases(no(20)) == [])
  }

  @Test func thrashInAPhaseOfALongRecording() {
    var script = Script()
    let v = Script.VCPU()
    for i in 0..<60 {
      script.load(v)
      if (20..<32).contains(i) { script.trap(v) }
      script.run(v, hcr: (20..<32).contains(i) ? on : 0)
      script.put(v)
    }
    let finding = script.finding(.lazyThrash)
    #expect(finding?.count == 1 && finding?.cost?.trips == 12)
  }
}
