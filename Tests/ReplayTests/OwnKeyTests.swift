import Ptrauth
import Replay
import Testing
import Trace

/// Whose keys the host slots hold, told by their values: recordings without process ids.
struct OwnKeyTests {
  private let on = Script.enabled
  private let ownKeys = KeySlots(seed: 3)
  private let otherKeys = KeySlots(seed: 5)

  private struct Variant {
    var pids: (Int32, Int32) = (-1, -1)
    /// What the second thread saves.
    var saved = KeySlots(seed: 5)
    var hasSwitches = true
    /// The first thread goes to user mode and saves again, unseen.
    var savesUnseen = false
    /// The first thread runs on other keys and saves before the task switch that would set that right.
    var savesForeign: KeySlots?
    var ret: Int32 = 2
  }

  /// Thread a saves, thread b saves on the same pCPU, a runs with a stale enable.
  private func script(_ variant: Variant) -> Script {
    var script = Script()
    var a = Script.VCPU()
    var b = Script.VCPU()
    a.pid = variant.pids.0
    b.pid = variant.pids.1
    b.pointer += 0x10000
    b.tid = 201
    func switchTo(_ v: Script.VCPU, from: Script.VCPU) {
      if variant.hasSwitches { script.switchTasks(from, to: v.tid) }
    }
    func save(_ v: inout Script.VCPU, _ keys: KeySlots) {
      script.load(v)
      script.trap(v)
      v.host = keys
      script.run(v, hcr: on)
      script.put(v, hcr: on)
    }
    switchTo(a, from: b)
    a.host = KeySlots(seed: 9)
    save(&a, ownKeys)
    if variant.savesUnseen {
      script.add(a, .userspaceExit(reason: 0, errno: 4))
      script.load(a)
      script.trap(a)
      script.put(a)
      script.load(a)
      script.run(a, hcr: 0)
      script.put(a)
    }
    if let keys = variant.savesForeign {
      a.host = otherKeys
      script.load(a, hcr: on)
      script.run(a, hcr: on)
      script.put(a, hcr: on)
      script.add(a, .userspaceExit(reason: 0, errno: 4))
      save(&a, keys)
    }
    switchTo(b, from: a)
    b.host = a.host
    save(&b, variant.saved)
    switchTo(a, from: b)
    a.host = variant.saved
    script.load(a, hcr: on)
    script.run(a, hcr: on, ret: variant.ret, to: variant.ret == 2 ? 0x4000_0010 : 0x4000_0000)
    script.put(a, hcr: on)
    return script
  }

  @Test func keysTellWhatProcessIdsWould() {
    let finding = script(Variant()).finding(.missedHostSave)
    #expect(finding?.count == 1)
    #expect(
      finding?.statement.hasSuffix("held other keys than those it had saved as its own") == true)
    #expect(script(Variant()).correctnessRules == ["stale-enable", "missed-host-save"])
    #expect(script(Variant(pids: (100, 200))).correctnessRules.contains("missed-host-save"))
  }

  /// Two processes that were forked have the same keys; two threads of one process that changed them have not.
  @Test func keysCountMoreThanProcessIds() {
    let same = Variant(pids: (100, 200), saved: KeySlots(seed: 3))
    #expect(script(same).correctnessRules == ["stale-enable"])
    #expect(
      script(Variant(pids: (100, 100))).correctnessRules == ["stale-enable", "missed-host-save"])
  }

  /// Only what is proved counts.
  @Test func whatIsNotKnownIsNotSaid() {
    #expect(script(Variant(hasSwitches: false)).correctnessRules == ["stale-enable"])
    #expect(script(Variant(savesUnseen: true)).correctnessRules == ["stale-enable"])
    #expect(script(Variant(ret: 0)).correctnessRules == ["stale-enable"])
  }

  /// A save that writes what a stale run restored, some of it set right meanwhile, shows that the thread did not change its
  /// keys; other values show nothing, and neither do slots that stay as they were: perhaps nothing was saved.
  @Test func aSaveOfWhatWasRestoredKeepsThem() {
    func count(_ saved: KeySlots) -> UInt64? {
      script(Variant(saved: KeySlots(seed: 7), savesForeign: saved)).finding(.missedHostSave)?.count
    }
    let mixed = otherKeys.with(8, ownKeys.registers[8]).with(9, ownKeys.registers[9])
    #expect(count(mixed) == 2)
    #expect(count(otherKeys) == 1, "the first stale run alone")
    #expect(count(KeySlots(seed: 11)) == 1, "the first stale run alone")
  }

  /// A loss is a wall.
  @Test func aLossForgetsThem() {
    var script = script(Variant())
    let last = script.events.lastIndex {
      if case .schedSwitch(_, _, let next) = $0.payload { next == 101 } else { false }
    }
    script.events.insert(
      Event(
        time: script.events[last ?? 0].time - 1, cpu: 0, pid: -1, tid: -1, payload: .lost(count: 1)),
      at: last ?? 0)
    #expect(!script.correctnessRules.contains("missed-host-save"))
  }

  /// A save that changes nothing is told by the slots, whoever saved before.
  @Test func aRepeatedSaveIsTold() {
    func saves(_ v: Script.VCPU, after keys: KeySlots) -> Finding? {
      var script = Script()
      var v = v
      v.pid = -1
      v.host = keys
      script.load(v)
      script.trap(v)
      v.host = ownKeys
      script.run(v, hcr: on)
      script.put(v, hcr: on)
      return script.finding(.redundantHostSave, .suspected)
    }
    #expect(saves(Script.VCPU(), after: ownKeys)?.count == 1)
    #expect(saves(Script.VCPU(), after: otherKeys) == nil)
    // Preempted before the save: put and loaded first.
    var script = Script()
    var v = Script.VCPU()
    v.host = ownKeys
    script.load(v)
    script.trap(v)
    script.put(v)
    #expect(script.finding(.redundantHostSave, .suspected) == nil)
  }
}
