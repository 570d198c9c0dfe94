import Ptrauth
import Replay
import Testing
import Trace

private let on = Script.enabled

/// A vCPU that enters enabled without a trap since its load was not disabled by the load, or enabled by another.
struct StaleDoubtTests {
  private func level(_ script: Script) -> Finding.Level? {
    script.replay().analysis.findings.first { $0.rule == .staleEnable }?.level
  }

  /// Two that ran, each on a pCPU of its own.
  private func twoVCPUs() -> (script: Script, v: Script.VCPU, other: Script.VCPU) {
    var script = Script()
    let v = Script.VCPU()
    var other = v
    other.pointer += 0x8000
    other.number = 1
    other.tid += 1
    other.cpu = 1
    for vcpu in [v, other] {
      script.load(vcpu)
      script.run(vcpu, hcr: 0)
    }
    return (script, v, other)
  }

  @Test func theLoadFoundTheBitsClear() {
    var script = Script()
    let v = Script.VCPU()
    script.load(v)
    script.run(v, hcr: 0)
    script.put(v)
    var kept = script
    script.load(v)
    script.run(v, hcr: on)
    #expect(level(script) == .suspected)
    kept.load(v, hcr: on)
    kept.run(v, hcr: on)
    #expect(level(kept) == .proved)
  }

  /// Where the recording begins behind an exit: what is handled then is that exit, and only of a ptrauth trap a handler
  /// sets bits.
  @Test(arguments: [(0, 0, true), (2, 0x24, true), (2, 9, false)] as [(Int32, UInt64, Bool)])
  func theBeginning(exitCode: Int32, ec: UInt64, isTold: Bool) {
    #expect(
      (level(beginning(exitCode, ec, otherCPU: 0)) != nil) == isTold)
    // A probe that fetches something else says nothing of exits.
    #expect(level(beginning(exitCode, ec, otherCPU: 0, fetchedESR: 0)) == nil)
    // Where no run was seen on the pCPU, one may be missing.
    let apart = beginning(exitCode, ec, otherCPU: 1)
    #expect(level(apart) == nil)
    #expect(apart.replay().analysis.judged.contains(.staleEnable) != isTold)
  }

  /// A vCPU that comes in the middle may have a handler under way, unless it was made since.
  @Test(arguments: [true, false])
  func aVCPUThatWasNotSeenBefore(isNew: Bool) {
    var script = Script()
    let v = Script.VCPU()
    var other = v
    other.pointer += 0x8000
    (other.number, other.tid, other.cpu) = (1, v.tid + 1, 1)
    script.load(v)
    script.run(v, hcr: 0)
    script.put(v)
    if isNew { script.probe(.resetVCPU, other, hcr: 0) }
    script.load(other)
    script.load(v, hcr: on)
    script.run(v, hcr: on)
    script.run(other, hcr: 0)
    script.run(v, hcr: on)
    #expect(level(script) == (isNew ? .proved : .suspected))
  }

  private func beginning(
    _ exitCode: Int32, _ ec: UInt64, otherCPU: Int32, fetchedESR: UInt64? = nil
  ) -> Script {
    var script = Script()
    script.fetchedESR = fetchedESR
    let v = Script.VCPU()
    var other = v
    other.cpu = otherCPU
    other.pointer += 0x8000
    other.number = 1
    other.tid += 1
    script.load(other)
    script.run(other, hcr: 0)
    script.put(other)
    script.load(v, hcr: on)
    script.probe(.handleExit, v, hcr: on, esr: fetchedESR ?? ec << 26, exitCode: exitCode)
    script.run(v, hcr: on)
    script.put(v, hcr: on)
    script.load(v, hcr: on)
    script.run(v, hcr: 0)
    return script
  }

  /// Another vCPU's handler is under way: it may have set the wrong vCPU's bits, unless it is seen to set its own.
  @Test(arguments: [on, 0])
  func aHandlerOfAnotherVCPU(itsOwn: UInt64) {
    let (begun, v, other) = twoVCPUs()
    var script = begun
    script.put(v)
    script.trap(other)
    script.load(v, hcr: on)
    script.run(v, hcr: on)
    script.run(other, hcr: itsOwn)
    script.run(v, hcr: on)
    #expect(level(script) == (itsOwn == 0 ? .suspected : .proved))
  }

  /// Where bytes were changed, events may be missing anywhere: what is suspected is shown, and no verdict. Nor is it clean.
  @Test(arguments: [true, false])
  func aDamagedRecording(isDamaged: Bool) {
    var script = Script()
    let v = Script.VCPU()
    script.load(v, hcr: on)
    script.run(v, hcr: on)
    script.put(v, hcr: on)
    script.load(v, hcr: on)
    script.run(v, hcr: on)
    let analysis = script.replay(isDamaged: isDamaged).analysis
    #expect(analysis.findings.contains { $0.rule == .staleEnable })
    #expect(analysis.findings.contains { $0.level == .proved } == !isDamaged)
    #expect(analysis.verdict == (isDamaged ? .incomplete : .findings))
  }

  /// The pCPU that the vCPU left wrote nothing more: a trap may be among what it lost. That is said.
  @Test(arguments: [true, false])
  func thePCPUThatItLeftFellSilent(writesAgain: Bool) {
    var script = Script()
    var v = Script.VCPU()
    script.load(v)
    script.trap(v)
    script.run(v, hcr: on)
    script.put(v, hcr: on)
    v.cpu = 1
    script.load(v, hcr: on)
    script.run(v, hcr: on)
    if writesAgain {
      v.cpu = 0
      script.switchTasks(v, to: 0)
    }
    #expect((level(script) != nil) == writesAgain)
    let unsaid = script.replay().analysis.notObservable.first { $0.rule == .staleEnable }
    #expect((unsaid?.reason.contains("wrote nothing") ?? false) == !writesAgain)
  }

  /// The other vCPU's trap may be among what was lost; its next kvm_entry says that the handler is through.
  @Test(arguments: [true, false])
  func aHandlerOfATrapThatWasLost(isThrough: Bool) {
    let (begun, v, other) = twoVCPUs()
    var script = begun
    script.add(other, .lost(count: 3))
    if isThrough { script.run(other, hcr: 0) }
    script.load(v)
    script.run(v, hcr: 0)
    script.put(v)
    script.load(v, hcr: on)
    script.run(v, hcr: on)
    #expect(level(script) == (isThrough ? .proved : .suspected))
  }

  /// A thread that was created while recording may have run where nothing was recorded.
  @Test(arguments: [0, 1])
  func aLifeIsNotWholeWherePCPUsAreLeftOut(leftOut: Int) {
    var script = Script()
    let v = Script.VCPU()
    var first = v
    first.pointer += 0x8000
    first.tid = 7
    first.pid = 7
    script.load(first)
    script.events.append(
      Event(
        time: script.time, cpu: 1, pid: 1, tid: 1, payload: .fork(child: v.pid, childPid: v.pid)))
    script.events.append(
      Event(
        time: script.time, cpu: 1, pid: v.pid, tid: v.pid,
        payload: .fork(child: v.tid, childPid: v.pid)))
    script.load(v, hcr: on)
    script.run(v, hcr: on)
    var configuration = script.configuration
    configuration.omissions.cpus = leftOut
    var replayer = Replayer(configuration)
    for event in script.events { replayer.consume(event) }
    let found = replayer.finish().findings.contains { $0.rule == .staleEnable }
    #expect(found == (leftOut == 0))
  }
}
