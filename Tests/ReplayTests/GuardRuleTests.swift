import Ptrauth
import Replay
import Testing
import Trace

private let on = Script.enabled

/// Guards that disagree, traps that nothing explains, handlers that move, vCPUs set up wrongly.
struct GuardRuleTests {
  /// What a run from 0 to 1, or from 1 to 0, means in each generation.
  @Test(arguments: Generation.all.map(\.name))
  func theBitsChangeWithinARun(name: String) throws {
    let generation = try #require(Generation.all.first { $0.name == name })
    var script = Script()
    script.generation = generation
    let v = Script.VCPU()
    script.load(v)
    script.run(v, hcr: on, after: 0)
    let cleared = script.replay().analysis.findings.contains { $0.rule == .missedHostRestore }
    #expect(cleared == (generation.guardReads == .shadow))
    script.events = []
    script.load(v)
    script.run(v, hcr: 0, after: on)
    let set = script.replay().analysis.findings.contains { $0.rule == .hostKeyLeak }
    #expect(set == (generation.guardReads == .shadow && generation.trap == .reachesHost))
  }

  @Test func aRunThatMayNotHaveEnteredProvesNothing() {
    var script = Script()
    let v = Script.VCPU()
    script.load(v)
    script.run(v, hcr: on, after: 0, ret: 0, from: 0x4000_0100, to: 0x4000_0100)
    #expect(script.finding(.missedHostRestore) == nil)
  }

  @Test func noVCPUWithTheFeatureTrapsWhereNothingTraps() {
    var script = Script()
    script.generation = .g6
    var v = Script.VCPU()
    script.load(v, hcr: on)
    script.trap(v, hcr: 0)
    #expect(script.correctnessRules == ["feature-denied"])
    // Without the feature it is an UNDEF, and a nested guest's trap may be its hypervisor's wish.
    for features in [Script.neither, Script.both | 1 << 7] {
      v.features = features
      script.events = []
      script.load(v)
      script.trap(v, hcr: 0)
      #expect(script.correctnessRules == [])
    }
  }

  @Test func aTrapAfterAnAnsweredOneIsSuspected() {
    func script(loadBetween: Bool, loadBehind: Bool = true) -> Script {
      var script = Script()
      script.samplesShadow = false
      let v = Script.VCPU()
      // Before the first run is over a handler may be under way.
      script.load(v)
      script.run(v, hcr: 0)
      script.put(v)
      script.load(v)
      script.trap(v, pc: 0x4000_0100)
      if loadBetween {
        script.put(v)
        script.load(v)
      }
      script.trap(v, pc: 0x4000_0200)
      script.put(v)
      if loadBehind { script.load(v) }
      return script
    }
    #expect(script(loadBetween: false).finding(.trapWhileEnabled, .suspected)?.count == 1)
    // Loads may not be recorded any more.
    let ended = script(loadBetween: false, loadBehind: false)
    #expect(ended.correctnessRules == [])
    #expect(ended.replay().analysis.notObservable.contains { $0.rule == .trapWhileEnabled })
    #expect(script(loadBetween: false).finding(.trapWhileEnabled) == nil)
    #expect(script(loadBetween: true).correctnessRules == [])
  }

  // MARK: The preemptible host save

  /// A's handler is preempted on pCPU 0 and returns on pCPU 1; B saves on pCPU 0 meanwhile.
  private func move(
    otherProcess: Bool = true, otherSaves: Bool = true, enabledBefore: Bool = true,
    returnsElsewhere: Bool = true
  ) -> Script {
    var script = Script()
    var a = Script.VCPU()
    var b = Script.VCPU()
    b.pointer += 0x10000
    b.tid = 201
    b.pid = otherProcess ? 200 : a.pid
    script.load(a)
    script.trap(a)
    script.switchTasks(a, to: b.tid)
    script.put(a, hcr: enabledBefore ? on : 0)
    script.load(b)
    if otherSaves { script.trap(b) }
    if returnsElsewhere {
      a.cpu = 1
      a.hostContext += 0x1000
    } else {
      script.switchTasks(b, to: a.tid)
      script.put(b)
    }
    script.load(a, hcr: enabledBefore ? on : 0)
    script.returns(.ptrauthTrap, a)
    return script
  }

  @Test func aSaveSplitOverTwoPCPUs() {
    let finding = move().finding(.preemptibleHostSave, .suspected)
    #expect(finding?.count == 1 && finding?.evidence.count == 4)
    #expect(move().correctnessRules == ["preemptible-host-save"])
  }

  @Test func aPreemptedHandlerAloneIsHarmless() {
    #expect(move(otherProcess: false).correctnessRules == [], "the same keys")
    #expect(move(otherSaves: false).correctnessRules == [], "nobody relies on the slots")
    #expect(move(enabledBefore: false).correctnessRules == [], "the save had not begun")
    #expect(move(returnsElsewhere: false).correctnessRules == [], "the same slots")
    var merged = move()
    merged.generation = .g3s
    #expect(!merged.correctnessRules.contains("preemptible-host-save"), "it saves at load")
  }

  /// As trace.dat has it: no event tells its process. The load's probe fetches it, if `mms` says which for pids.
  private func withoutProcesses(_ script: Script, mms: [Int32: (mm: UInt64, maker: Int32)])
    -> Script
  {
    var script = script
    script.events = script.events.map { event in
      var payload = event.payload
      if case .probe(let hit) = payload, hit.address == Script.address(.vcpuLoad),
        let process = mms[event.pid]
      {
        var fields = hit.fields
        (fields.mm, fields.userspacePID) = (process.mm, process.maker)
        payload = .probe(ProbeHit(address: hit.address, isReturn: false, fields: fields))
      }
      return Event(
        time: event.time, cpu: event.cpu, pid: -1, tid: event.tid, payload: payload)
    }
    return script
  }

  @Test func theLoadTellsTheProcess() {
    let told = withoutProcesses(move(), mms: [100: (0xa000, 100), 200: (0xb000, 200)])
    #expect(told.finding(.preemptibleHostSave, .suspected)?.count == 1)
    #expect(Set(told.replay().analysis.vcpus.map(\.pid)) == [100, 200])
    let same = withoutProcesses(move(), mms: [100: (0xa000, 100), 200: (0xa000, 201)])
    #expect(same.correctnessRules == [], "one process made two VMs, by two threads")
    #expect(Set(same.replay().analysis.vcpus.map(\.pid)) == [100])
    let reused = withoutProcesses(move(), mms: [100: (0xa000, 100), 200: (0xb000, 100)])
    #expect(reused.correctnessRules == [], "an id that was given again")
    let untold = withoutProcesses(move(), mms: [:])
    #expect(untold.correctnessRules == [])
    #expect(
      untold.replay().analysis.notObservable.contains {
        $0.rule == .preemptibleHostSave && $0.remedy.contains("mm")
      })
  }

  @Test func withoutReturnsItDoesNotShow() {
    var script = move()
    script.events.removeLast()
    #expect(script.correctnessRules == [])
    #expect(script.replay().analysis.notObservable.contains { $0.rule == .preemptibleHostSave })
    #expect(!move().replay().analysis.notObservable.contains { $0.rule == .preemptibleHostSave })
  }

  // MARK: Nested guests

  private func nested(
    l1 hcr: UInt64, spsr: UInt64 = 5, sample: UInt64, features: UInt64 = Script.both | 1 << 7,
    isInterrupted: Bool = false, isReloaded: Bool = true, losesElsewhere: Bool = false
  ) -> [String] {
    var script = Script()
    script.generation = .g6
    var v = Script.VCPU()
    v.features = features
    var elsewhere = v
    elsewhere.cpu = 1
    script.switchTasks(elsewhere, to: 0)
    script.load(v)
    script.run(v, hcr: on)
    script.add(v, .nestedEret(vcpu: v.pointer, spsr: spsr, hcr: hcr))
    script.put(v, hcr: on)
    if isReloaded { script.load(v, hcr: on) }
    if isInterrupted { script.add(v, .nestedException(vcpu: v.pointer)) }
    script.run(v, hcr: sample)
    script.put(v, hcr: sample)
    if losesElsewhere { script.add(elsewhere, .lost(count: 9)) }
    return script.correctnessRules
  }

  @Test func aNestedGuestsBitsAreItsHypervisors() {
    #expect(nested(l1: on, sample: on) == [])
    #expect(nested(l1: EnableBits.apiMask, sample: EnableBits.apiMask) == [])
    #expect(nested(l1: 0, sample: EnableBits.apiMask) == ["nested-bits-differ"])
    #expect(nested(l1: on, sample: 0) == ["nested-bits-differ"])
    let without = Script.neither | 1 << 7
    #expect(nested(l1: on, sample: on, features: without) == ["switch-without-feature"])
  }

  @Test func returnsThatEnterNoNestedGuest() {
    #expect(nested(l1: 0, spsr: 9, sample: on) == [], "to the hypervisor itself")
    #expect(nested(l1: 1 << 34 | 1 << 27, spsr: 0, sample: on) == [], "to the hypervisor's EL0")
    #expect(nested(l1: 0, sample: on, isInterrupted: true) == [], "the hypervisor came first")
    #expect(nested(l1: 0, sample: on, isReloaded: false) == [], "the load was not seen")
    #expect(nested(l1: 0, sample: on, losesElsewhere: true) == [], "it may have been there")
  }

  // MARK: vCPUs set up wrongly

  @Test func oneFeatureOfTwo() {
    for (generation, expected) in [(Generation.g2, ["one-feature-only"]), (.g3, []), (.g6, [])] {
      var script = Script()
      script.generation = generation
      var v = Script.VCPU()
      v.features = 0x24
      script.probe(.resetVCPU, v)
      script.probe(.resetVCPU, v)
      #expect(script.correctnessRules == expected, "\(generation.name)")
    }
  }

  @Test func aResetThatDoesNotLoadAgain() {
    func script(loads: Bool, later: [KernelFunction] = [.vcpuPut, .vcpuLoad]) -> Script {
      var script = Script()
      let v = Script.VCPU()
      script.load(v)
      script.run(v, hcr: 0)
      script.probe(.resetVCPU, v)
      script.put(v)
      if loads { script.load(v) }
      script.run(v, hcr: 0)
      for function in later {
        if function == .vcpuPut { script.put(v) } else { script.load(v) }
      }
      return script
    }
    #expect(script(loads: false).finding(.oneFeatureOnly, .suspected)?.count == 1)
    #expect(script(loads: true).correctnessRules == [])
    // Loads, or puts and loads, may not be recorded any longer.
    #expect(script(loads: false, later: []).correctnessRules == [])
    #expect(script(loads: false, later: [.vcpuPut]).correctnessRules == [])
    #expect(script(loads: false, later: [.vcpuLoad]).correctnessRules == [])
  }

  private func arrived(
    at pc: UInt64, uses: [UInt64]? = nil,
    guest: KeySlots = KeySlots(repeating: KeySlots.resetValue), isReset: Bool = true
  ) -> Script {
    var script = Script()
    var v = Script.VCPU()
    v.guest = guest
    if isReset { script.probe(.resetVCPU, v) }
    script.load(v)
    script.run(v, hcr: 0, from: pc, to: pc &+ 0x20)
    for use in uses ?? [pc &+ 0x40] { script.trap(v, pc: use) }
    return script
  }

  @Test func aVCPUThatCameWithoutItsKeys() {
    let kernel: UInt64 = 0xffff_8000_1000_0000
    #expect(arrived(at: kernel).finding(.keysLostInMigration, .suspected)?.count == 1)
    #expect(arrived(at: 0x4000_0000).correctnessRules == [], "it began at its reset")
    #expect(arrived(at: kernel, guest: KeySlots(seed: 3)).correctnessRules == [], "with keys")
    #expect(
      arrived(at: kernel, guest: KeySlots(repeating: KeySlots.resetValue).with(4, 9))
        .correctnessRules == [], "with one of them")
    #expect(arrived(at: kernel, isReset: false).correctnessRules == [], "it was here before")
    let process: UInt64 = 0xaaaa_0000_1000
    #expect(
      arrived(at: kernel, uses: [process]).correctnessRules == [],
      "a process may use pacga under a kernel that sets no keys")
    #expect(
      arrived(at: kernel, uses: [process, kernel + 0x80])
        .finding(.keysLostInMigration, .suspected)?.count == 1)
    var again = arrived(at: kernel, uses: [process])
    var v = Script.VCPU()
    v.guest = KeySlots(repeating: KeySlots.resetValue)
    again.put(v)
    again.probe(.resetVCPU, v)
    again.load(v)
    again.trap(v, pc: kernel + 0x80)
    #expect(again.correctnessRules == [], "it was switched off and on, and began anew")
  }
}
