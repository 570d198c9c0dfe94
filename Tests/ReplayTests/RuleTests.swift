import Ptrauth
import Replay
import Testing
import Trace

private let on = Script.enabled

/// Each rule fires on the sequence that breaks it, and stays silent on the legal one beside it.
struct RuleTests {
  @Test func aWorkingKernelBreaksNothing() {
    var script = Script()
    var v = Script.VCPU()
    for _ in 0..<3 {
      script.load(v)
      script.trap(v)
      v.guest = KeySlots(seed: 3)
      script.run(v, hcr: on)
      script.run(v, hcr: on)
      script.put(v, hcr: on)
    }
    let (analysis, timeline) = script.replay()
    #expect(analysis.findings.filter(\.rule.isCorrectness).isEmpty)
    #expect(analysis.verdict == .clean)
    #expect(
      timeline.runs.map(\.atEntry.bits) == [
        .clear, .set, .set, .clear, .set, .set, .clear, .set, .set,
      ])
    #expect(
      timeline.runs.allSatisfy { $0.atEntry.basis == .observed && $0.atExit.basis == .observed })
    let counters = analysis.vcpus[0].counters
    #expect(counters.loads == 3 && counters.runs == 9 && counters.instructionTraps == 3)
    #expect(counters.hostSaves == 3 && counters.keySwitches == 6)
    let redundant = analysis.findings.first { $0.rule == .redundantSwitch }
    #expect(redundant?.count == 3)
    #expect(redundant?.cost == Cost(reads: 30, writes: 60))
  }

  @Test func staleEnable() {
    var script = Script()
    let v = Script.VCPU()
    script.load(v)
    script.trap(v)
    script.run(v, hcr: on)
    script.put(v, hcr: on)
    script.load(v, hcr: on)
    script.run(v, hcr: on)
    script.put(v, hcr: on)
    let finding = script.replay().analysis.findings.first
    #expect(finding?.rule == .staleEnable)
    #expect(finding?.level == .proved)
    #expect(finding?.count == 1)
    #expect(finding?.evidence.map(\.event) == ["kvm_exit", "kvm_arch_vcpu_load", "kvm_entry"])
    #expect(script.correctnessRules == ["stale-enable"])
  }

  @Test func anEnableMayLandAfterALoad() {
    // The handler was preempted before it set the bits, and went on on another pCPU.
    var script = Script()
    var v = Script.VCPU()
    script.load(v)
    script.trap(v)
    script.switchTasks(v, to: 0)
    script.put(v)
    v.cpu = 1
    v.hostContext += 0x1000
    script.load(v)
    script.run(v, hcr: on)
    script.put(v, hcr: on)
    #expect(script.correctnessRules == [])
  }

  @Test func aPreemptedSystemRegisterTrapMayStillBeAKeyTrap() {
    // kvm_exit EC 0x18; what it was is said only after the load.
    var script = Script()
    var v = Script.VCPU()
    script.load(v)
    script.probe(.flush, v, hcr: 0)
    script.add(v, .entry(pc: 0x40))
    script.add(v, .exit(ret: 2, ec: 0x18, pc: 0x80))
    script.switchTasks(v, to: 0)
    script.put(v)
    v.cpu = 1
    v.hostContext += 0x1000
    script.load(v)
    script.probe(.handleExit, v, hcr: 0, esr: Script.esr(.apiaLo, write: true))
    script.probe(.ptrauthTrap, v, hcr: 0)
    script.run(v, hcr: on)
    #expect(script.correctnessRules == [])
  }

  @Test func staleEnableIsNotClaimedAcrossALoss() {
    var script = Script()
    let v = Script.VCPU()
    var other = v
    other.cpu = 1
    script.load(v)
    script.run(v, hcr: 0)
    script.put(v)
    script.load(v)
    script.run(v, hcr: on)
    // pCPU 1 lost events during all this and says so only now.
    script.events.insert(
      Event(time: 1, cpu: 1, pid: 0, tid: 0, payload: .userspaceExit(reason: 0, errno: 0)), at: 0)
    script.add(other, .lost(count: 9))
    let analysis = script.replay().analysis
    #expect(analysis.findings.filter(\.rule.isCorrectness).isEmpty)
    #expect(analysis.verdict == .incomplete)
  }

  @Test func staleEnableOutsideALossIsStillClaimed() {
    var script = Script()
    let v = Script.VCPU()
    script.add(v, .lost(count: 9))
    for _ in 0..<2 {
      script.load(v, hcr: on)
      script.run(v, hcr: on)
      script.put(v, hcr: on)
    }
    let analysis = script.replay().analysis
    #expect(analysis.verdict == .findings)
    #expect(analysis.findings.first?.rule == .staleEnable)
    #expect(analysis.findings.first?.count == 1)
    #expect(analysis.isIncomplete)
  }

  @Test func staleEnableRestoresAnotherProcessesKeys() {
    var script = Script()
    let a = Script.VCPU()
    var b = Script.VCPU()
    b.pointer += 0x10000
    b.tid = 201
    b.pid = 200
    script.load(a)
    script.trap(a)
    script.run(a, hcr: on)
    script.put(a, hcr: on)
    script.load(b)
    script.trap(b)
    script.run(b, hcr: on)
    script.put(b, hcr: on)
    script.load(a, hcr: on)
    script.run(a, hcr: on)
    script.put(a, hcr: on)
    // Nothing samples the slots: what is known is who saved them.
    script.samplesKeys = false
    script.events = script.events.map {
      guard case .probe(var hit) = $0.payload else { return $0 }
      hit.fields.hostKeys = nil
      hit.fields.guestKeys = nil
      var event = $0
      event.payload = .probe(hit)
      return event
    }
    #expect(script.correctnessRules == ["stale-enable", "missed-host-save"])
    // Something else than a trap's handler may save.
    #expect(script.finding(.missedHostSave) == nil)
  }

  @Test func missedHostSaveByUnwrittenSlots() {
    var script = Script()
    var v = Script.VCPU()
    v.host = KeySlots(repeating: 0)
    script.load(v)
    script.trap(v)
    script.run(v, hcr: on)
    script.put(v, hcr: on)
    #expect(script.correctnessRules == ["missed-host-save"])
    // One register of ten is enough, and is named.
    v.host = KeySlots(seed: 5).with(9, 0)
    script.events = []
    script.load(v)
    script.trap(v)
    script.run(v, hcr: on)
    let finding = script.replay().analysis.findings.first
    #expect(finding?.rule == .missedHostSave)
    #expect(finding?.statement.contains("APGAKEYHI_EL1") == true)
  }

  @Test func slotsOfAnUnreadableContextProveNothing() {
    // A fetch through a null pointer reads as zero.
    var script = Script()
    var v = Script.VCPU()
    v.host = KeySlots(repeating: 0)
    v.hostContext = 0
    script.load(v)
    script.trap(v)
    script.run(v, hcr: on)
    #expect(script.correctnessRules == [])
  }

  /// The write at 0x4000_0200 is retried; the guest exits at these places, the slot unchanged.
  private func writes(
    _ exits: [UInt64], ec: UInt32 = 0x24, resets: Bool = true, _ script: inout Script
  ) {
    let v = Script.VCPU()
    if resets { script.probe(.resetVCPU, v) }
    script.load(v)
    script.trap(v, .apiaLo, write: true, pc: 0x4000_0200)
    var pc: UInt64 = 0x4000_0200
    for exit in exits {
      script.run(v, hcr: on, ec: ec, from: pc, to: exit)
      pc = exit
    }
    script.put(v, hcr: on)
  }

  @Test func missedGuestSave() {
    var script = Script()
    writes([0x4000_0210], &script)
    #expect(script.finding(.missedGuestSave) != nil)
    #expect(script.correctnessRules == ["missed-guest-save"])
  }

  /// Guest exit saves others: KVM may have stepped over the trapped write.
  @Test func aGuestWriteThatWasSteppedOver() {
    var script = Script()
    var v = Script.VCPU()
    script.probe(.resetVCPU, v)
    v.guest = KeySlots(repeating: KeySlots.resetValue)
    script.load(v)
    script.trap(v, .apiaLo, write: true, pc: 0x4000_0200)
    script.probe(.flush, v, hcr: on)
    script.add(v, .entry(pc: 0x4000_0200))
    script.probe(.vcpuRun, v, hcr: on)
    script.probe(.sync, v, hcr: on)
    script.add(v, .exit(ret: 2, ec: 0x24, pc: 0x4000_0210))
    v.guest = v.guest.with(1, 77)
    script.probe(.handleExit, v, hcr: on, esr: 0x24 << 26)
    script.put(v, hcr: on)
    #expect(script.finding(.missedGuestSave) == nil)
    #expect(script.finding(.missedGuestSave, .suspected)?.count == 1)
  }

  /// The interrupt that came first may have led to the guest's idle loop.
  @Test func aGuestThatWaitsMayNotHaveWritten() {
    var script = Script()
    writes([0x4000_9000], ec: 1, &script)
    #expect(script.finding(.missedGuestSave) == nil)
    #expect(script.finding(.missedGuestSave, .suspected) != nil)
  }

  /// A guest that used pointer authentication before may have read the reset value, and write it back.
  @Test func aGuestMayWriteWhatItRead() {
    var script = Script()
    let v = Script.VCPU()
    script.probe(.resetVCPU, v)
    script.load(v)
    script.trap(v)
    script.run(v, hcr: on, from: 0x4000_0100, to: 0x4000_0110)
    script.put(v, hcr: on)
    writes([0x4000_0210], resets: false, &script)
    #expect(script.finding(.missedGuestSave) == nil)
    #expect(script.finding(.missedGuestSave, .suspected) != nil)
  }

  /// The exits may be those of an interrupt's handler that came before the write; so many seldom are, and never prove it.
  @Test(arguments: [(2, false), (15, false), (16, true)])
  func aGuestWriteThatAnInterruptMayHaveHeldUp(exits: Int, isSuspected: Bool) {
    var script = Script()
    writes((0..<exits).map { 0x4000_9000 + UInt64($0) * 0x10 }, &script)
    #expect(script.correctnessRules == (isSuspected ? ["missed-guest-save"] : []))
    #expect(script.finding(.missedGuestSave) == nil)
  }

  @Test func aGuestWriteThatIsSavedAfterAll() {
    var script = Script()
    writes([0x4000_9000, 0x4000_9010], &script)
    var v = Script.VCPU()
    script.load(v, hcr: on)
    script.trap(v, .apiaLo, write: true, pc: 0x4000_0200)
    v.guest = v.guest.with(0, 12345)
    script.run(v, hcr: on, from: 0x4000_0200, to: 0x4000_0210)
    #expect(script.correctnessRules == [])
  }

  /// User space set the guest up anew, with no probe on kvm_reset_vcpu: the same code runs again.
  @Test func aGuestThatBeganAnew() {
    var script = Script()
    let v = Script.VCPU()
    script.probe(.resetVCPU, v)
    script.load(v)
    script.trap(v, .apiaLo, write: true, pc: 0x4000_0200)
    script.put(v, hcr: on)
    script.add(v, .userspaceExit(reason: 6, errno: 0))
    script.load(v, hcr: on)
    script.trap(v, pc: 0x4000_0200)
    script.run(v, hcr: on, from: 0x4000_0200, to: 0x4000_0210)
    script.put(v, hcr: on)
    #expect(script.correctnessRules == [])
  }

  @Test func aSavedGuestWriteIsFine() {
    var script = Script()
    var v = Script.VCPU()
    script.load(v)
    script.trap(v, .apiaLo, write: true)
    v.guest = v.guest.with(0, 12345)
    script.run(v, hcr: on)
    script.run(v, hcr: on)
    #expect(script.correctnessRules == [])
  }

  @Test func aWriteThatDidNotRunYetIsFine() {
    var script = Script()
    let v = Script.VCPU()
    script.load(v)
    script.trap(v, .apiaLo, write: true, pc: 0x4000_0200)
    // Interrupted before the retried instruction, again and again.
    for _ in 0..<3 { script.run(v, hcr: on, ret: 0, from: 0x4000_0200, to: 0x4000_0200) }
    // A reset forgets it.
    script.probe(.resetVCPU, v)
    for _ in 0..<3 { script.run(v, hcr: on) }
    #expect(!script.correctnessRules.contains("missed-guest-save"))
  }

  @Test func missedGuestRestore() {
    var script = Script()
    var v = Script.VCPU()
    v.host = KeySlots(seed: 11)
    script.load(v)
    script.trap(v)
    v.guest = v.host
    script.run(v, hcr: on)
    // Guest exit may have saved behind its restore: neither is proved, and the other is not judged.
    #expect(script.correctnessRules == ["missed-guest-restore"])
    #expect(script.finding(.missedGuestRestore) == nil)
    #expect(!script.replay().analysis.judged.contains(.missedGuestSave))
    let text = script.replay().analysis.findings.first.map { "\($0)" } ?? ""
    #expect(!text.contains(String(v.host.registers[0], radix: 16)), "a key value is said")
    #expect(!text.contains(String(v.host.registers[0])), "a key value is said")
  }

  /// Two slots that hold nothing are no shared key.
  @Test(arguments: [0, KeySlots.resetValue])
  func equalButEmptySlotsProveNothing(value: UInt64) {
    var script = Script()
    var v = Script.VCPU()
    script.load(v)
    script.trap(v)
    v.guest = KeySlots(repeating: value)
    v.host = KeySlots(seed: 8).with(3, value)
    script.run(v, hcr: on)
    #expect(!script.correctnessRules.contains("missed-guest-restore"))
  }

  @Test func staleHostContext() {
    var script = Script()
    var v = Script.VCPU()
    script.load(v)
    script.run(v, hcr: 0)
    script.put(v)
    v.cpu = 1
    script.load(v)
    script.run(v, hcr: 0)
    #expect(script.correctnessRules == ["stale-host-context"])
  }

  @Test func theHostContextAtLoadIsStillThePreviousOne() {
    var script = Script()
    var v = Script.VCPU()
    script.load(v)
    script.run(v, hcr: 0)
    script.put(v)
    v.cpu = 1
    script.load(v)
    v.hostContext += 0x1000
    script.run(v, hcr: 0)
    script.put(v)
    #expect(script.correctnessRules == [])
  }

  @Test(arguments: [Script.neither, 0x24, 0x44])
  func switchWithoutFeature(features: UInt64) {
    var script = Script()
    var v = Script.VCPU()
    v.features = features
    script.load(v)
    script.run(v, hcr: on)
    #expect(script.correctnessRules == ["switch-without-feature"])
  }

  @Test func trapWhileEnabled() {
    var script = Script()
    let v = Script.VCPU()
    script.load(v)
    script.trap(v)
    script.trap(v, hcr: on)
    #expect(script.correctnessRules == ["trap-while-enabled"])
    // What the shadow says is then no knowledge of the CPU; what the trap says is.
    let runs = script.replay(shadowIsNotLive: true).timeline.runs
    #expect(runs[1].atExit.bits.api == .clear)
    #expect(runs[1].atExit.bits.apk == .unknown)
  }

  @Test func bitsDiffer() {
    var script = Script()
    let v = Script.VCPU()
    script.load(v)
    script.trap(v)
    script.run(v, hcr: EnableBits.apiMask)
    #expect(script.correctnessRules == ["bits-differ"])
    // An interrupt may have ended a run before it entered the guest.
    script.run(v, hcr: EnableBits.apiMask, ret: 0, from: 0x4000_0010, to: 0x4000_0010)
    #expect(script.finding(.bitsDiffer)?.count == 1)
    // The trap on the key registers needs APK=0, which the shadow says: no contradiction.
    script.trap(v, .apiaLo, write: true, hcr: EnableBits.apiMask)
    #expect(script.correctnessRules == ["bits-differ"])
  }

  @Test func aNestedGuestsBitsAreNotJudged() {
    var script = Script()
    script.generation = .g6
    var v = Script.VCPU()
    v.features = Script.both | 1 << 7
    script.load(v)
    script.run(v, hcr: EnableBits.apiMask)
    #expect(script.correctnessRules == [])
  }

  @Test func eagerKernelsEnterEnabled() {
    var script = Script()
    script.generation = .g6
    let v = Script.VCPU()
    script.load(v)
    script.run(v, hcr: on)
    script.put(v, hcr: on)
    script.load(v, hcr: on)
    script.put(v, hcr: on)
    let (analysis, _) = script.replay()
    // The second save writes what the first wrote, and is never restored from: told once.
    #expect(analysis.findings.map(\.rule.id) == ["redundant-host-save", "short-load"])
    #expect(analysis.vcpus[0].counters.hostSaves == 2)
    #expect(analysis.notObservable.contains { $0.rule == .staleEnable })
  }

  @Test func hiddenTrapsAreSeenBySamples() {
    var script = Script()
    script.generation = .g5
    let v = Script.VCPU()
    script.load(v)
    script.run(v, hcr: 0, after: on)
    script.run(v, hcr: on)
    script.put(v, hcr: on)
    let (analysis, timeline) = script.replay()
    #expect(analysis.findings.filter(\.rule.isCorrectness).isEmpty)
    #expect(analysis.vcpus[0].counters.hiddenTraps == 1)
    #expect(timeline.runs[0].atEntry.bits == .clear && timeline.runs[0].atExit.bits == .set)
    #expect(timeline.runs[1].atEntry.bits == .set)
  }

  @Test func lazyThrash() {
    var script = Script()
    let v = Script.VCPU()
    for _ in 0..<10 {
      script.load(v)
      script.trap(v)
      script.run(v, hcr: on)
      script.put(v, hcr: on)
    }
    let finding = script.replay().analysis.findings.first { $0.rule == .lazyThrash }
    #expect(finding?.cost?.trips == 10)
    #expect(script.replay().analysis.verdict == .clean)
  }

  @Test func eachKindOfTrapNeedsItsOwnBit() {
    var script = Script()
    let v = Script.VCPU()
    script.load(v)
    // API=0 allows the instruction trap, APK=0 the register trap; the bits differ all the same.
    script.trap(v, hcr: EnableBits.apkMask)
    script.trap(v, .apiaLo, write: true, hcr: EnableBits.apiMask)
    #expect(script.correctnessRules == ["bits-differ"])
    script.trap(v, hcr: EnableBits.apiMask)
    #expect(script.correctnessRules == ["trap-while-enabled", "bits-differ"])
  }

  @Test func afterALossAHandlerMayBeUnderWay() {
    var script = Script()
    let v = Script.VCPU()
    script.load(v)
    script.run(v, hcr: 0)
    script.add(v, .lost(count: 1))
    // The lost events may hold a trap whose enable lands after this load.
    script.load(v)
    script.run(v, hcr: on)
    #expect(script.correctnessRules == [])
  }

  @Test func aRunThatMayNotHaveEnteredSwitchedNothing() {
    var script = Script()
    let v = Script.VCPU()
    script.load(v)
    script.trap(v)
    script.run(v, hcr: on, ret: 0, from: 0x4000_0100, to: 0x4000_0100)
    // A pending increment, and a pending exception's vector, move the PC without an entry.
    script.run(v, hcr: on, ret: 0, from: 0x4000_0100, to: 0x4000_0104)
    script.run(v, hcr: on, ret: 0, from: 0x4000_0100, to: 0x4000_0a00)
    #expect(script.replay().analysis.vcpus[0].counters.keySwitches == 0)
    script.run(v, hcr: on, ret: 0, from: 0x4000_0100, to: 0x4000_0134)
    script.run(v, hcr: on)
    #expect(script.replay().analysis.vcpus[0].counters.keySwitches == 2)
  }

  @Test func aNestedGuestsBitsAreNotClaimed() {
    var script = Script()
    script.generation = .g6
    var v = Script.VCPU()
    v.features = Script.both | 1 << 7
    script.load(v)
    script.run(v, hcr: on)
    #expect(script.replay().timeline.runs.map(\.atEntry.bits) == [.unknown])
  }

  /// A kernel with CONFIG_ARM64_PTR_AUTH_KERNEL consumes its APIA in every gap: four keys remain.
  @Test(arguments: [(false, 5), (true, 4), (nil, 4)] as [(Bool?, UInt64)])
  func whatAGapCosts(kernelUsesPointerAuth: Bool?, keys: UInt64) {
    var script = Script()
    script.kernelUsesPointerAuth = kernelUsesPointerAuth
    let v = Script.VCPU()
    script.load(v)
    script.trap(v)
    script.run(v, hcr: on)
    script.run(v, hcr: on)
    script.put(v, hcr: on)
    let finding = script.replay().analysis.findings.first { $0.rule == .redundantSwitch }
    #expect(finding?.count == 1)
    #expect(finding?.cost == Cost(reads: 2 * keys, writes: 4 * keys))
  }

  @Test func onePCPUThatNeverWritesAgainHoldsNothingUp() {
    // The other pCPU's last word was long ago; findings stand at the end, counted in full.
    var script = Script()
    let v = Script.VCPU()
    var other = v
    other.cpu = 1
    other.tid = 300
    script.switchTasks(other, to: 0)
    let loads = PendingFindings.limit + 100
    for _ in 0..<loads {
      script.load(v, hcr: on)
      script.run(v, hcr: on)
      script.put(v, hcr: on)
    }
    let finding = script.replay().analysis.findings.first { $0.rule == .staleEnable }
    // The first load may follow a handler that was under way.
    #expect(finding?.count == UInt64(loads - 1))
  }

  /// A recorder turns its events on and off one by one: what is torn there is no loss.
  @Test func tornEdgesAreNoLoss() {
    func script(exitAlone at: UInt64) -> Script {
      var script = Script()
      let v = Script.VCPU()
      script.load(v)
      for step in UInt64(0)..<10 {
        script.time = 1_000_000 + step * 100_000_000
        script.run(v, hcr: 0)
        if step == at { script.add(v, .exit(ret: 0, ec: 0, pc: 0)) }
      }
      return script
    }
    #expect(script(exitAlone: 0).replay().analysis.verdict == .clean)
    #expect(script(exitAlone: 9).replay().analysis.verdict == .clean)
    let torn = script(exitAlone: 5).replay().analysis
    #expect(torn.verdict == .incomplete && torn.sequenceBreaks == 1)
  }
}
