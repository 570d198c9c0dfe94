import Ptrauth
import Replay
import Testing
import Trace

/// What rests on a scheme that is only assumed.
struct AssumedSchemeTests {
  /// A thread that enters with the bits still set after a load: a stale enable on v7.
  private func staleEnable(_ basis: SchemeBasis, probed: Bool = true) -> Script {
    var script = Script()
    script.schemeBasis = basis
    script.probed = probed
    let v = Script.VCPU()
    script.useKeys(v)
    script.load(v, hcr: Script.enabled)
    script.run(v, hcr: Script.enabled)
    script.run(v, hcr: Script.enabled, ec: 9)
    script.put(v, hcr: Script.enabled)
    return script
  }

  @Test func nothingIsProved() {
    let (known, _) = staleEnable(.code).replay()
    #expect(known.findings.contains { $0.rule == .staleEnable && $0.level == .proved })
    for basis in [SchemeBasis.named, .release] {
      let (analysis, timeline) = staleEnable(basis).replay()
      #expect(!analysis.findings.isEmpty)
      #expect(analysis.findings.allSatisfy { $0.level == .suspected })
      for case .finding(_, let level, _, _) in timeline { #expect(level == .suspected) }
    }
    #expect(staleEnable(.named).replay().analysis.findings.contains { $0.rule == .staleEnable })
  }

  /// Another scheme might break what this one cannot.
  @Test func nothingIsImpossibleOnAGuess() {
    for generation in Generation.all {
      var script = staleEnable(.release)
      script.generation = generation
      let hidden = script.replay().analysis.notObservable
      #expect(hidden.allSatisfy { $0.applies })
      #expect(hidden.allSatisfy { !$0.reason.contains(generation.name + " ") })
      script.schemeBasis = .code
      #expect(script.replay().analysis.notObservable.contains { !$0.applies })
    }
  }

  /// Probes without a kernel: they sample, under names that nobody can read.
  @Test func whatIsSampledIsNotCalledUnsampled() {
    var configuration = Replayer.Configuration()
    configuration.generation = .g2
    configuration.recordedEvents = [
      RecordedEvent(
        system: "ptrauth", name: "p", isProbe: true,
        fields: ["vcpu", "cpu", "hcr_el2", "features", "apiakeylo_el1", "apgakeyhi_el1"])
    ]
    var replayer = Replayer(configuration)
    let hidden = replayer.finish().notObservable.filter(\.applies)
    #expect(!hidden.isEmpty)
    for item in hidden {
      #expect(
        !item.reason.contains("sampled") && !item.remedy.contains("probe "), "\(item.rule.id)")
    }
    // With a kernel it says what is missing.
    configuration.resolve = { _ in nil }
    configuration.recordedEvents = []
    var named = Replayer(configuration)
    #expect(named.finish().notObservable.contains { $0.reason.contains("are not sampled") })
  }
}
