import Ptrauth
import Replay
import Testing

private let on = Script.enabled

/// A struct kvm_vcpu that was freed and given again is another vCPU.
struct NewLifeTests {
  private func livesTwice(_ change: (inout Script.VCPU) -> Void) -> Analysis {
    var script = Script()
    var v = Script.VCPU()
    v.features = Script.neither
    func live() {
      script.probe(.resetVCPU, v)
      for _ in 0..<9 {
        script.load(v)
        script.trap(v)
        script.run(v, hcr: v.features == Script.both ? on : 0)
        script.put(v, hcr: v.features == Script.both ? on : 0)
      }
    }
    live()
    change(&v)
    live()
    return script.replay().analysis
  }

  @Test func withOtherFeaturesItIsAnother() {
    let analysis = livesTwice { v in
      v.features = Script.both
      v.tid += 1
    }
    #expect(analysis.vcpus.map(\.feature) == [.none, .both])
    #expect(analysis.vcpus.map(\.counters.runs) == [18, 18])
    let thrash = analysis.findings.first { $0.rule == .lazyThrash }
    #expect(thrash?.cost?.trips == 9, "the first life's traps are UNDEFs")
  }

  /// Without a reset KVM changes none, and who has what is not known: nothing is clean then.
  @Test func withOtherFeaturesAndNoReset() {
    var script = Script()
    var v = Script.VCPU()
    for features in [Script.both, Script.neither] {
      v.features = features
      script.load(v)
      script.run(v, hcr: 0)
      script.put(v)
    }
    let analysis = script.replay().analysis
    for rule in [Rule.featureDenied, .switchWithoutFeature, .unexplained] {
      #expect(!analysis.judged.contains(rule), "\(rule)")
    }
  }

  @Test func ofAnotherProcessItIsAnother() {
    let analysis = livesTwice { v in
      v.pid += 50
      v.tid += 50
    }
    #expect(analysis.vcpus.map(\.pid) == [100, 150])
  }

  /// Whose features and bits a life that never ran had are not the next one's.
  @Test func ofOneThatNeverRanToo() {
    var script = Script()
    var v = Script.VCPU()
    script.load(v, hcr: on)
    script.put(v, hcr: on)
    v.pid += 50
    v.tid += 50
    v.features = Script.neither
    script.probe(.resetVCPU, v)
    for _ in 0..<9 {
      script.load(v)
      script.trap(v)
      script.run(v, hcr: 0)
      script.put(v, hcr: 0)
    }
    let analysis = script.replay().analysis
    #expect(analysis.findings.filter(\.rule.isCorrectness).isEmpty)
    #expect(analysis.vcpus.map(\.feature) == [.both, .none])
    #expect(analysis.vcpus.map(\.counters.runs) == [0, 18])
  }

  @Test func aResetIsTheSameLife() {
    let analysis = livesTwice { _ in }
    #expect(analysis.vcpus.map(\.counters.runs) == [36])
    #expect(analysis.vcpus.first?.counters.resets == 2)
  }
}
