import Ptrauth
import Replay
import Testing
import Trace

/// Whose keys, where it is not who it seems: threads whose number another has, keys that are a guest's, and slots that
/// are another pCPU's.
struct KeyOwnerTests {
  private let on = Script.enabled
  private let keysOfA = KeySlots(seed: 3)
  private let keysOfB = KeySlots(seed: 5)

  private struct Host {
    var script = Script()
    var slots = KeySlots(seed: 9)
    var last = Script.VCPU()

    init() { last.tid = 0 }

    func vcpu(_ number: Int32, tid: Int32, pid: Int32 = -1) -> Script.VCPU {
      var v = Script.VCPU()
      v.pointer += UInt64(number) * 0x10000
      v.number = number
      v.tid = tid
      v.pid = pid
      return v
    }

    /// The thread is switched to, unless it runs: a trap, a run on what its handler leaves in the slots, a put.
    mutating func turn(_ v: Script.VCPU, saves keys: KeySlots?) {
      var v = v
      if last.tid != v.tid {
        last.cpu = v.cpu
        script.switchTasks(last, to: v.tid)
      }
      last = v
      v.host = slots
      script.load(v)
      script.trap(v)
      slots = keys ?? slots
      v.host = slots
      script.run(v, hcr: Script.enabled)
      script.put(v, hcr: Script.enabled)
    }

    mutating func leave(_ v: Script.VCPU) {
      script.add(v, .userspaceExit(reason: 6, errno: 0))
    }

    mutating func die(_ v: Script.VCPU) {
      leave(v)
      script.add(v, .schedSwitch(prev: v.tid, prevState: 0x10, next: 0))
      idle()
    }

    mutating func idle() {
      last.tid = 0
      last.pid = -1
    }
  }

  @Test func zerosThatWereSavedAreNoMissedSave() {
    func host(_ first: KeySlots?) -> Host {
      var host = Host()
      host.slots = KeySlots(repeating: 0)
      let (a, b) = (host.vcpu(0, tid: 101), host.vcpu(1, tid: 201))
      if let first { host.turn(a, saves: first) }
      for _ in 0..<2 {
        host.turn(b, saves: KeySlots(repeating: 0))
        host.leave(b)
      }
      return host
    }
    #expect(host(keysOfA).script.correctnessRules == [])
    #expect(host(nil).script.finding(.missedHostSave)?.count ?? 0 > 0, "never written")
  }

  /// Two threads die; two others have their numbers, the other way round.
  @Test(arguments: [true, false])
  func aNumberIsNotAThread(dies: Bool) {
    var host = Host()
    let pids: (Int32, Int32) = dies ? (-1, -1) : (500, 600)
    var (a, b) = (host.vcpu(0, tid: 101, pid: pids.0), host.vcpu(1, tid: 201, pid: pids.1))
    for v in [a, b] {
      host.script.load(v)
      host.script.run(v, hcr: 0)
      host.script.put(v)
    }
    host.turn(b, saves: keysOfB)
    host.leave(b)
    host.turn(a, saves: keysOfA)
    host.leave(a)
    if dies {
      host.die(b)
      host.die(a)
    }
    (a.tid, b.tid) = (b.tid, a.tid)
    host.turn(a, saves: nil)
    #expect(host.script.correctnessRules == [])
    host.leave(a)
    // The thread itself is still watched.
    host.turn(b, saves: keysOfB)
    host.leave(b)
    host.turn(a, saves: keysOfA)
    host.turn(b, saves: nil)
    #expect(host.script.correctnessRules.contains("missed-host-save"))
  }

  /// A missed restore: what the thread saves next is the guest's, and no proof of what its keys are.
  @Test func keysSavedAfterARestoreProveNothing() throws {
    func host(withoutSwitch: Bool) -> Host {
      var host = Host()
      let (a, b) = (host.vcpu(0, tid: 101), host.vcpu(1, tid: 201))
      for v in [a, b] {
        host.script.load(v)
        host.script.run(v, hcr: 0)
        host.script.put(v)
      }
      host.turn(a, saves: keysOfA)
      host.leave(a)
      if !withoutSwitch {
        host.script.switchTasks(a, to: 0)
        host.idle()
      }
      host.turn(a, saves: keysOfB)
      host.leave(a)
      host.turn(b, saves: keysOfA)
      host.leave(b)
      host.turn(a, saves: nil)
      return host
    }
    let found = try #require(host(withoutSwitch: true).script.finding(.missedHostSave, .suspected))
    #expect(found.statement.contains("missed-host-restore"))
    #expect(host(withoutSwitch: true).script.finding(.missedHostSave) == nil)
    #expect(
      host(withoutSwitch: false).script.finding(.missedHostSave)?.count == 1, "they are its own")
  }

  /// A thread of which no save ever wrote: another thread of its process shows what its keys are not.
  @Test func theSlotsHoldAnotherProcesssKeys() {
    func host(sibling: Int32) -> Host {
      var host = Host()
      let a = host.vcpu(0, tid: 101, pid: 100)
      let b = host.vcpu(1, tid: 201, pid: 200)
      let c = host.vcpu(2, tid: 102, pid: sibling)
      host.turn(a, saves: keysOfA)
      host.leave(a)
      host.turn(b, saves: keysOfB)
      host.leave(b)
      host.turn(c, saves: nil)
      host.leave(c)
      return host
    }
    #expect(host(sibling: 100).script.finding(.missedHostSave, .suspected)?.count == 1)
    #expect(host(sibling: 200).script.correctnessRules == [], "they are its own process's")
    #expect(host(sibling: 300).script.correctnessRules == [], "nothing says what its keys are")
  }

  /// Contexts in another order than their pCPUs, or not of every pCPU: the slots may be another pCPU's.
  @Test func contextsThatMayBeAnothers() {
    func judged(_ places: [(cpu: Int32, context: UInt64)], idle: Int32? = nil) -> [Rule] {
      var host = Host()
      for (cpu, context) in places + places {
        var v = host.vcpu(0, tid: 101)
        v.cpu = cpu
        v.hostContext = 0xffff_0000_7000_0000 + context * 0x1f000
        host.turn(v, saves: keysOfA)
        host.leave(v)
      }
      if let idle {
        var other = host.vcpu(3, tid: 900)
        other.cpu = idle
        host.script.add(other, .schedSwitch(prev: 900, prevState: 1, next: 0))
      }
      #expect(host.script.correctnessRules == [])
      return host.script.replay().analysis.judged
    }
    let inOrder = judged([(0, 0), (1, 1)])
    #expect(inOrder.contains(.staleHostContext) && inOrder.contains(.missedHostSave))
    let reversed = judged([(0, 1), (1, 0)])
    #expect(!reversed.contains(.staleHostContext) && !reversed.contains(.missedHostSave))
    let unseen = judged([(0, 0), (1, 1)], idle: 2)
    #expect(!unseen.contains(.staleHostContext) && unseen.contains(.missedHostSave))
  }
}
