import Ptrauth
import Replay
import Testing
import Trace

/// What became of a trap is what later events show, and so is what its handler saved.
struct OpenTrapTests {
  private let v = Script.VCPU()

  private func answers(_ script: Script) -> [TrapAnswer] {
    script.replay().timeline.compactMap {
      if case .trap(_, _, _, let answer) = $0 { answer } else { nil }
    }
  }

  private func saves(_ script: Script) -> [UInt64] {
    script.replay().analysis.vcpus.map(\.counters.hostSaves)
  }

  /// A trap behind which the bits stay clear.
  private func unanswered(_ v: Script.VCPU, isSampled: Bool = true) -> Script {
    var script = Script()
    script.samplesShadow = isSampled
    script.load(v)
    script.trap(v)
    script.run(v, hcr: 0)
    script.put(v)
    return script
  }

  @Test func enabled() {
    var script = Script()
    script.useKeys(v)
    #expect(answers(script) == [.enabled])
    #expect(saves(script) == [1])
  }

  /// The handler was through when the thread was put.
  @Test func enabledAndTakenBack() {
    var script = Script()
    script.load(v)
    script.trap(v)
    script.put(v, hcr: Script.enabled)
    script.load(v, hcr: Script.enabled)
    script.run(v, hcr: 0)
    script.put(v)
    #expect(answers(script) == [.enabled])
    #expect(saves(script) == [1])
  }

  @Test(arguments: [false, true])
  func undefined(isPreempted: Bool) {
    var script = Script()
    script.load(v)
    script.trap(v)
    if isPreempted {
      script.put(v)
      script.load(v)
    }
    script.probe(.injectUndefined, v, hcr: 0)
    script.run(v, hcr: 0)
    script.put(v)
    #expect(answers(script) == [.undefined])
    #expect(saves(script) == [0])
    #expect(script.finding(.featureDenied)?.count == 1)
    let costs = script.replay().analysis.findings.filter { !$0.rule.isCorrectness }
    #expect(
      costs.allSatisfy { $0.cost?.reads ?? 0 == 0 },
      "\(costs.map { ($0.rule.id, $0.statement, $0.cost) })")
  }

  @Test func notEnabled() {
    var script = Script()
    var refused = v
    refused.pointer += 0x8000
    (refused.tid, refused.number, refused.cpu) = (v.tid + 1, 1, 1)
    script.load(refused)
    script.trap(refused)
    script.probe(.injectUndefined, refused, hcr: 0)
    let before = script
    script.load(v)
    for count in 0..<3 { script.trap(v, isRetry: count > 0) }
    script.run(v, hcr: Script.enabled)
    script.put(v, hcr: Script.enabled)
    #expect(answers(script) == [.undefined, .notEnabled, .notEnabled, .enabled])
    #expect(saves(script) == [1, 0])
    #expect(script.finding(.wastedTrap)?.cost == Cost(trips: 2))
    // Where no UNDEF was seen it may have been one, which saves nothing either.
    script.events.removeFirst(before.events.count)
    #expect(answers(script) == [.unknown, .unknown, .enabled])
    #expect(saves(script) == [1])
  }

  /// The guest goes on elsewhere: it is not the retry, and that run may be missing.
  @Test func theRetryIsMissing() {
    var script = Script()
    script.load(v)
    script.trap(v)
    script.trap(v)
    script.run(v, hcr: Script.enabled)
    script.put(v, hcr: Script.enabled)
    #expect(answers(script) == [.unknown, .enabled])
    #expect(script.replay().analysis.vcpus.map(\.counters.bounds.upper) == [.hostSaves])
  }

  /// Without kvm_exit nothing tells what becomes of a handler that is entered.
  @Test func withoutItsExit() {
    var script = Script()
    script.useKeys(v)
    script.events.removeAll { if case .exit = $0.payload { true } else { false } }
    #expect(script.replay().analysis.vcpus.map(\.counters.bounds.upper) == [.hostSaves])
  }

  /// A load took away what the handler may have set; or nothing was sampled.
  @Test func notKnown() {
    var script = Script()
    script.load(v)
    script.trap(v)
    script.put(v)
    script.load(v)
    script.run(v, hcr: 0)
    script.put(v)
    #expect(answers(script) == [.unknown])
    #expect(script.replay().analysis.vcpus.map(\.counters.bounds.upper) == [.hostSaves])
    #expect(answers(unanswered(v, isSampled: false)) == [.unknown])
  }

  @Test func ofAVCPUWithoutTheFeature() {
    var v = v
    v.features = Script.neither
    let script = unanswered(v)
    #expect(answers(script) == [.undefined])
    #expect(saves(script) == [0])
    // Where nothing shows the bits, a kernel that is at fault may have set them.
    #expect(answers(unanswered(v, isSampled: false)) == [.unknown])
  }

  /// Where the handler saves nothing, a trap does not say that it did.
  @Test func skippedSaves() {
    var v = v
    v.host = KeySlots(repeating: 0)
    var script = Script()
    script.kernelUsesPointerAuth = true
    for _ in 0..<12 {
      script.useKeys(v)
    }
    let analysis = script.replay().analysis
    #expect(analysis.findings.contains { $0.rule == .missedHostSave && $0.level == .proved })
    #expect(analysis.vcpus.map(\.counters.bounds.upper) == [.hostSaves])
    #expect(analysis.findings.allSatisfy { $0.rule != .redundantHostSave })
    #expect(analysis.notObservable.contains { $0.rule == .redundantHostSave && $0.applies })
    let thrash = analysis.findings.first { $0.rule == .lazyThrash }
    #expect(thrash?.cost == Cost(trips: 12))
  }
}
