import Ptrauth
import Replay
import Testing
import Trace

/// kvm tracepoints alone: what traps prove, and what stays unknown.
struct InferenceTests {
  private func script() -> Script {
    var script = Script()
    script.probed = false
    return script
  }

  /// The thread's process was created within the recording, which had begun.
  private func born(_ script: inout Script, _ v: Script.VCPU) {
    var other = v
    (other.tid, other.pid) = (1, 1)
    script.switchTasks(other, to: 0)
    script.add(v, .fork(child: v.pid, childPid: v.pid))
    script.add(v, .fork(child: v.tid, childPid: v.pid))
  }

  private func bits(_ script: Script) -> [(EnableBits, EnableBits)] {
    script.replay().timeline.runs.sorted { $0.enter < $1.enter }
      .map { ($0.atEntry.bits, $0.atExit.bits) }
  }

  private func userspace(_ script: inout Script, _ v: Script.VCPU) {
    script.add(v, .userspaceExit(reason: 6, errno: 0))
  }

  @Test func aTrapProvesTheIntervalBeforeIt() {
    var script = script()
    let v = Script.VCPU()
    script.run(v, hcr: 0)
    userspace(&script, v)
    script.run(v, hcr: 0)
    script.run(v, hcr: 0)
    script.trap(v)
    script.run(v, hcr: 0)
    userspace(&script, v)
    script.run(v, hcr: 0)
    let bits = bits(script)
    #expect(bits[0].0 == .unknown, "nothing proves the first interval")
    #expect(bits[1].0 == .clear && bits[2].0 == .clear && bits[3].0 == .clear)
    #expect(bits[4].0 == .unknown, "enabled or UNDEF: the events do not say which")
    #expect(bits[5].0 == .unknown, "no trap in the last interval")
  }

  @Test(arguments: [false, true]) func aGuestThatGoesOnAtItsVectorWasRefused(isInjected: Bool) {
    // Up to 5.10: kvm_inject_undefined sets the PC at once.
    var script = script()
    let v = Script.VCPU()
    script.trap(v, pc: 0x4000_0100)
    script.run(v, hcr: 0, from: isInjected ? 0x4000_8200 : nil)
    script.run(v, hcr: 0)
    let bits = bits(script)
    #expect(bits[0].0 == .clear && bits[0].1 == .clear)
    #expect(bits[1].0 == (isInjected ? .clear : .unknown), "else it may have been answered")
    #expect(bits[2].1 == (isInjected ? .clear : .unknown))
  }

  @Test func twoUsesInARowAreNoProofOfUndef() {
    // A kernel whose CPU now and then lacks what the shadow has looks like this too.
    var script = script()
    let v = Script.VCPU()
    script.trap(v, pc: 0x4000_0100)
    script.trap(v, pc: 0x4000_0104)
    script.run(v, hcr: 0)
    let bits = bits(script)
    #expect(bits[0].0 == .clear && bits[1].1.api == .clear && bits[2].0 == .unknown)
  }

  @Test func theSameInstructionTwiceProvesNothingMore() {
    // A kernel whose enable does not take looks like this.
    var script = script()
    let v = Script.VCPU()
    userspace(&script, v)
    script.trap(v, .apiaLo, write: true)
    script.trap(v, .apiaLo, write: true)
    #expect(bits(script)[1].0 == EnableBits(api: .unknown, apk: .clear))
  }

  @Test func aKeyTrapAfterAnInstructionTrapProvesNothingMore() {
    var script = script()
    let v = Script.VCPU()
    script.trap(v, pc: 0x4000_0100)
    script.trap(v, .apiaLo, write: true, pc: 0x4000_0200)
    #expect(bits(script)[1].0 == EnableBits(api: .unknown, apk: .clear))
  }

  @Test func aLifeWithoutTrapsIsNeverEnabled() {
    var script = script()
    let v = Script.VCPU()
    born(&script, v)
    script.run(v, hcr: 0)
    userspace(&script, v)
    script.run(v, hcr: 0)
    #expect(
      bits(script).allSatisfy { $0.0 == .unknown }, "no guest of this host is known to be trapped")
    var other = Script.VCPU()
    (other.tid, other.pid, other.cpu) = (201, 200, 1)
    var late = script
    late.trap(other)
    #expect(bits(late).first?.0 == .unknown, "it was told before that was known")
    late = self.script()
    late.trap(other)
    born(&late, v)
    late.run(v, hcr: 0)
    userspace(&late, v)
    late.run(v, hcr: 0)
    #expect(bits(late).allSatisfy { $0.0 == .clear })
    // Where traps are handled at EL2, not trapping says nothing.
    script.generation = .g5
    #expect(bits(script).allSatisfy { $0.0 == .unknown })
  }

  @Test(arguments: [false, true]) func aTrapRefutesNothingWhereEventsAreMissing(isLost: Bool) {
    var script = script()
    let v = Script.VCPU()
    var other = Script.VCPU()
    (other.tid, other.pid, other.cpu) = (201, 200, 1)
    script.trap(other)
    if isLost { script.add(other, .lost(count: 1)) }
    born(&script, v)
    script.run(v, hcr: 0)
    userspace(&script, v)
    script.run(v, hcr: 0)
    let runs = script.replay().timeline.runs.filter { $0.tid == v.tid }
    #expect(runs.count == 2)
    #expect(runs.allSatisfy { $0.atEntry.bits == (isLost ? .unknown : .clear) })
  }

  @Test func aLossEndsThatKnowledge() {
    var script = script()
    let v = Script.VCPU()
    born(&script, v)
    script.run(v, hcr: 0)
    script.add(v, .lost(count: 1))
    script.run(v, hcr: 0)
    userspace(&script, v)
    script.run(v, hcr: 0)
    let bits = bits(script)
    #expect(bits[1].0 == .unknown && bits[2].0 == .unknown)
  }

  @Test func aPreemptedHandlerTaintsTheNextInterval() {
    var script = script()
    let v = Script.VCPU()
    script.run(v, hcr: 0)
    userspace(&script, v)
    script.trap(v)
    script.switchTasks(v, to: 0)
    script.add(v, .schedSwitch(prev: 0, prevState: 0, next: v.tid))
    script.run(v, hcr: 0)
    script.trap(v)
    let bits = bits(script)
    #expect(bits[1].0 == .clear)
    #expect(bits[2].0 == .unknown && bits[3].0 != .set)
  }

  @Test func loadsAndPutsAreImplied() {
    var script = script()
    let v = Script.VCPU()
    script.run(v, hcr: 0)
    script.switchTasks(v, to: 0)
    script.add(v, .schedSwitch(prev: 0, prevState: 0, next: v.tid))
    script.run(v, hcr: 0)
    userspace(&script, v)
    script.run(v, hcr: 0)
    let (analysis, timeline) = script.replay()
    let counters = analysis.vcpus[0].counters
    #expect(counters.loads == 2 && counters.puts == 2 && counters.bounds.lower.contains(.loads))
    #expect(
      timeline.allSatisfy {
        switch $0 {
        case .load(_, _, let isImplied), .put(_, _, let isImplied): isImplied
        default: true
        }
      })
    #expect(analysis.vcpus[0].identity.kind == .thread)
    #expect(analysis.notObservable.contains { $0.rule == .staleEnable })
  }

  /// Puts that are probed are no others than those that a switch or a return to user space implies.
  @Test func probedPutsCountOnce() {
    var script = Script()
    let v = Script.VCPU()
    for _ in 0..<3 {
      script.load(v)
      script.run(v, hcr: 0)
      script.switchTasks(v, to: 0)
      script.put(v)
      script.add(v, .schedSwitch(prev: 0, prevState: 0, next: v.tid))
      script.load(v)
      script.run(v, hcr: 0)
      script.put(v)
      script.add(v, .userspaceExit(reason: 6, errno: 0))
    }
    #expect(script.replay().analysis.vcpus[0].counters.puts == 6)
    script.events.removeAll {
      if case .probe(let hit) = $0.payload {
        hit.address == Script.address(.vcpuLoad)
      } else {
        false
      }
    }
    script.probesLoads = false
    let (analysis, timeline) = script.replay()
    #expect(analysis.vcpus[0].counters.puts == 6)
    #expect(timeline.count { if case .put = $0 { true } else { false } } == 6)
  }

  /// Loads are implied; a recorder that follows tasks stops at the switch, before the put.
  @Test(arguments: [false, true])
  func probedPutsAndNoLoads(followsTasks: Bool) {
    var script = Script()
    script.probesLoads = false
    var v = Script.VCPU()
    for round in 0..<40 {
      script.run(v, hcr: 0)
      script.switchTasks(v, to: 0)
      if !followsTasks { script.put(v) }
      v.move(to: Int32(round & 1))
      script.add(v, .schedSwitch(prev: 0, prevState: 0, next: v.tid))
      script.run(v, hcr: 0)
      script.put(v)
      // Put, and on its way to user space.
      script.switchTasks(v, to: 0)
      script.time += 5_000_000
      v.move(to: v.cpu ^ 1)
      script.add(v, .schedSwitch(prev: 0, prevState: 0, next: v.tid))
      script.add(v, .userspaceExit(reason: 6, errno: 0))
    }
    let analysis = script.replay().analysis
    #expect(analysis.findings.allSatisfy { !$0.rule.isCorrectness })
    #expect(!analysis.isIncomplete)
    #expect(analysis.vcpus[0].counters.puts == 80 && analysis.vcpus[0].counters.loads <= 80)
  }

  /// __kvm_vcpu_run comes once between kvm_entry and kvm_exit, and handle_exit behind that: where kvm_exit is missing, what
  /// follows is of another run.
  @Test(arguments: [true, false])
  func twoPassesAreNotOneRun(isHandled: Bool) {
    var script = Script()
    let v = Script.VCPU()
    script.load(v)
    script.enter(v, hcr: 0)
    if isHandled {
      script.probe(.sync, v, hcr: 0)
      script.probe(.handleExit, v, hcr: 0, esr: 9 << 26, exitCode: 2)
      script.probe(.ptrauthTrap, v, hcr: 0)
    }
    script.probe(.vcpuRun, v, hcr: Script.enabled)
    script.probe(.sync, v, hcr: Script.enabled)
    script.add(v, .exit(ret: 0, ec: 0, pc: 0x4000_0010))
    script.put(v, hcr: Script.enabled)
    let run = script.replay().timeline.runs.first
    #expect(run?.atEntry.bits == .clear && run?.exit == nil)
    #expect(script.correctnessRules == [])
  }

  @Test func aTrapThatReachesTheHostMeansNoFeatureWhereOthersAreHidden() {
    for generation in [Generation.g4, .g5, .g6] {
      var script = script()
      script.generation = generation
      let v = Script.VCPU()
      script.run(v, hcr: 0)
      script.trap(v)
      script.run(v, hcr: 0)
      let bits = bits(script)
      #expect(bits[1].0 == .clear, "\(generation.name)")
      // Where nothing sets the bits in a run, they may come and go by a fault of the kernel.
      let others: EnableBits = generation.trap == .never ? .unknown : .clear
      #expect(bits[0].0 == others && bits[2].0 == others, "\(generation.name)")
    }
  }

  @Test func aRegisterTrapThatNothingNamesMayBeAKeys() {
    // kvm_exit EC 0x18 alone: if it was a key register, the vCPU is enabled from here on.
    var script = script()
    let v = Script.VCPU()
    born(&script, v)
    script.run(v, hcr: 0)
    script.run(v, hcr: 0, ec: 0x18)
    script.run(v, hcr: 0)
    // Guests of this host are trapped.
    var other = Script.VCPU()
    (other.tid, other.pid, other.cpu) = (201, 200, 1)
    script.trap(other)
    let unnamed = bits(script)
    #expect(unnamed[0].0 == .clear && unnamed[1].0 == .clear && unnamed[1].1 == .clear)
    #expect(unnamed[2].0 == .unknown)
    // Named as another register, it is of no concern.
    script.events.insert(
      Event(
        time: script.events[6].time + 1, cpu: v.cpu, pid: v.pid, tid: v.tid,
        payload: .handleSysReg(esr: 0x6200_0000 | 3 << 20 | 6 << 1 | 1)), at: 7)
    #expect(bits(script).allSatisfy { $0.0 == .clear })
  }
}
