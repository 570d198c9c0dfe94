import Ptrauth
import Replay
import Testing
import Trace

/// What the host's slots say of a save that a trap answered: equality with nobody's known keys says nothing.
struct SavedKeyTests {
  private let on = Script.enabled

  /// Two threads that take turns on one pCPU, each in a process of its own.
  private struct Turns {
    var script = Script()
    var a = Script.VCPU()
    var b = Script.VCPU()
    /// What the slots of the pCPU hold.
    var slots = KeySlots(seed: 9)

    init() {
      (a.pid, b.pid) = (-1, -1)
      b.pointer += 0x10000
      b.tid = 201
      // Both are there from the beginning.
      for v in [a, b] {
        script.load(v)
        script.run(v, hcr: 0)
        script.put(v)
      }
    }

    /// A turn of a thread: a trap, a run on what its handler leaves in the slots, a put.
    mutating func turn(_ v: KeyPath<Turns, Script.VCPU>, saves keys: KeySlots?) {
      var now = self[keyPath: v]
      let other = now.tid == a.tid ? b : a
      script.switchTasks(other, to: now.tid)
      now.host = slots
      script.load(now)
      script.trap(now)
      slots = keys ?? slots
      now.host = slots
      script.run(now, hcr: Script.enabled)
      script.put(now, hcr: Script.enabled)
    }

    /// It returns to user mode, where it may change its keys.
    mutating func leave(_ v: KeyPath<Turns, Script.VCPU>) {
      script.add(self[keyPath: v], .userspaceExit(reason: 6, errno: 0))
    }
  }

  private let keysOfA = KeySlots(seed: 3)
  private let keysOfB = KeySlots(seed: 5)

  private func isJudged(_ rule: Rule, _ script: Script) -> Bool {
    script.replay().analysis.judged.contains(rule)
  }

  @Test func savesThatWriteAreFine() {
    var turns = Turns()
    turns.turn(\.a, saves: keysOfA)
    turns.turn(\.b, saves: keysOfB)
    turns.turn(\.a, saves: keysOfA)
    #expect(turns.script.correctnessRules.isEmpty)
    #expect(isJudged(.missedHostSave, turns.script))
  }

  /// Nothing changed its keys, and guest exit restored others.
  @Test func aSaveThatDoesNotComeIsMissed() {
    var turns = Turns()
    turns.turn(\.a, saves: keysOfA)
    turns.turn(\.b, saves: keysOfB)
    turns.turn(\.a, saves: nil)
    #expect(turns.script.finding(.missedHostSave)?.count == 1)
    #expect(turns.script.correctnessRules == ["missed-host-save"])
  }

  /// It may have new keys, but not those of a thread that was there before it had them.
  @Test func keysOfAnotherAreNeverNewOnes() {
    var turns = Turns()
    turns.turn(\.a, saves: keysOfA)
    turns.leave(\.a)
    turns.turn(\.b, saves: keysOfB)
    turns.turn(\.a, saves: nil)
    #expect(turns.script.correctnessRules == ["missed-host-save"])
    #expect(
      turns.script.finding(.missedHostSave)?.statement.contains("another thread") == true)
  }

  /// New keys are nobody's.
  @Test func newKeysAreFine() {
    var turns = Turns()
    turns.turn(\.a, saves: keysOfA)
    turns.leave(\.a)
    turns.turn(\.b, saves: keysOfB)
    turns.turn(\.a, saves: KeySlots(seed: 7))
    #expect(turns.script.correctnessRules.isEmpty)
  }

  /// Two processes that were forked have the same keys: a save changes nothing, and that is right.
  @Test func sharedKeysAreFine() {
    var turns = Turns()
    turns.turn(\.a, saves: keysOfA)
    turns.leave(\.a)
    turns.turn(\.b, saves: nil)
    turns.leave(\.b)
    turns.turn(\.a, saves: nil)
    #expect(turns.script.correctnessRules.isEmpty)
  }

  /// A thread that changed its keys, and slots that hold its old ones: the save wrote nothing, or nothing changed.
  @Test func slotsThatStayTheSameJudgeNothing() {
    var turns = Turns()
    turns.slots = keysOfA
    turns.turn(\.a, saves: nil)
    turns.leave(\.a)
    turns.turn(\.a, saves: nil)
    #expect(turns.script.correctnessRules.isEmpty)
    #expect(!isJudged(.missedHostSave, turns.script))
  }

  /// Its own keys, each in another register.
  @Test func movedKeysAreNotItsOwn() {
    var turns = Turns()
    turns.turn(\.a, saves: keysOfA)
    let k = keysOfA.registers
    let moved = keysOfA.with(4, k[6]).with(5, k[7]).with(6, k[4]).with(7, k[5])
    turns.turn(\.b, saves: keysOfB)
    turns.turn(\.a, saves: moved)
    #expect(turns.script.finding(.missedHostRestore, .suspected)?.count == 1)
    #expect(!turns.script.correctnessRules.contains("missed-host-save"))
  }

  /// APIA is not the thread's own in a kernel that installs it at the return to user mode only.
  @Test func apiaOfAnotherIsFine() {
    var turns = Turns()
    turns.turn(\.a, saves: keysOfA)
    turns.turn(\.b, saves: keysOfB)
    let b = keysOfB.registers
    turns.turn(\.a, saves: keysOfA.with(0, b[0]).with(1, b[1]))
    #expect(turns.script.correctnessRules.isEmpty)
  }

  /// A return to user mode that was not recorded may have changed them.
  @Test func withoutReturnsNothingIsKnownForLong() {
    var turns = Turns()
    turns.turn(\.a, saves: keysOfA)
    turns.turn(\.b, saves: keysOfB)
    turns.turn(\.a, saves: KeySlots(seed: 7))
    var configuration = turns.script.configuration
    configuration.recordedEvents.removeAll { $0.name == "kvm_userspace_exit" }
    var replayer = Replayer(configuration)
    for event in turns.script.events { replayer.consume(event) }
    #expect(!replayer.finish().findings.contains { $0.rule.isCorrectness })
  }

  /// What a run saved as the guest's without having loaded the guest's is the host's.
  @Test func aLeakIsNotTheGuestsKey() {
    var script = Script()
    var v = Script.VCPU()
    v.host = KeySlots(seed: 9)
    script.load(v)
    script.probe(.flush, v, hcr: 0)
    script.add(v, .entry(pc: 0x4000_0000))
    script.probe(.sync, v, hcr: on)
    script.add(v, .exit(ret: 0, ec: 0, pc: 0x4000_0000))
    v.guest = keysOfA
    script.probe(.handleExit, v, hcr: on)
    script.trap(v, hcr: on)
    v.host = keysOfA
    script.run(v, hcr: on)
    #expect(script.finding(.hostKeyLeak, .suspected)?.count == 1)
    #expect(!script.correctnessRules.contains("missed-host-restore"))
  }

  /// The guest's slots come to hold what the thread had saved as its own: guest entry loaded nothing, or guest exit saved
  /// behind its restore.
  @Test func theHostsKeysInTheGuestsSlots() {
    var turns = Turns()
    turns.turn(\.a, saves: keysOfA)
    turns.turn(\.b, saves: keysOfB)
    turns.turn(\.a, saves: keysOfA)
    var v = turns.a
    v.host = keysOfA
    var script = turns.script
    script.load(v)
    script.trap(v)
    script.run(v, hcr: on)
    #expect(script.correctnessRules.isEmpty)
    script.probe(.flush, v, hcr: on)
    script.add(v, .entry(pc: 0x4000_0000))
    script.probe(.sync, v, hcr: on)
    script.add(v, .exit(ret: 2, ec: 0x24, pc: 0x4000_0010))
    v.guest = keysOfA
    script.probe(.handleExit, v, hcr: on, esr: 0x24 << 26)
    script.put(v, hcr: on)
    let found = script.finding(.missedGuestRestore, .suspected)
    #expect(found?.count == 1 && found?.statement.contains("missed-guest-save") == true)
    #expect(script.finding(.missedGuestRestore) == nil)
    #expect(!isJudged(.missedGuestSave, script))
  }

  /// The guest's keys exchanged over one run, and as they were over another.
  @Test func exchangedGuestKeysAreSuspect() {
    var script = Script()
    var v = Script.VCPU()
    v.guest = KeySlots(seed: 4)
    script.load(v)
    script.trap(v)
    script.run(v, hcr: on)
    #expect(script.correctnessRules.isEmpty)
    let k = v.guest.registers
    script.probe(.flush, v, hcr: on)
    script.add(v, .entry(pc: 0x4000_0000))
    script.probe(.sync, v, hcr: on)
    script.add(v, .exit(ret: 2, ec: 0x24, pc: 0x4000_0010))
    v.guest = v.guest.with(0, k[2]).with(1, k[3]).with(2, k[0]).with(3, k[1])
    script.probe(.handleExit, v, hcr: on, esr: 0x24 << 26)
    #expect(script.finding(.missedGuestRestore, .suspected)?.count == 1)
  }

  /// One context a pCPU, in another order than the pCPUs: none is seen in two places. The order alone says nothing.
  @Test(arguments: [[0, 1, 2], [1, 2, 0], [2, 0, 1]])
  func contextsLieInTheOrderOfThePCPUs(places: [UInt64]) {
    var script = Script()
    var v = Script.VCPU()
    // Host keys are not where they were saved.
    v.host = KeySlots(repeating: 0)
    for cpu in 0..<3 {
      v.cpu = Int32(cpu)
      v.hostContext = 0xffff_0000_bff5_6580 + places[cpu] * 0x1f000
      script.load(v)
      script.trap(v)
      script.run(v, hcr: on)
      script.put(v, hcr: on)
    }
    #expect((script.finding(.staleHostContext, .suspected) != nil) == (places != [0, 1, 2]))
    v.host = KeySlots(seed: 8)
    script.events = []
    for cpu in 0..<3 {
      v.cpu = Int32(cpu)
      v.hostContext = 0xffff_0000_bff5_6580 + places[cpu] * 0x1f000
      script.load(v)
      script.trap(v)
      script.run(v, hcr: on)
      script.put(v, hcr: on)
    }
    #expect(script.finding(.staleHostContext, .suspected) == nil)
  }

  /// A trap that is handled and changes nothing costs; whether the guest is denied only an UNDEF tells.
  @Test func aTrapThatEnablesNothingCosts() {
    var script = Script()
    let v = Script.VCPU()
    script.load(v)
    for _ in 0..<3 { script.trap(v) }
    script.run(v, hcr: on)
    #expect(script.finding(.wastedTrap)?.count == 2)
    #expect(script.correctnessRules.isEmpty)
  }
}
