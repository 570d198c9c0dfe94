import Ptrauth
import Replay
import Testing
import Trace

private let on = Script.enabled

/// Each rule that events can show is broken here by a trace; those that only code can show, by the audit's
/// tests. A rule without either fails.
struct ExerciserTests {
  private typealias Break = @Sendable (inout Script, Script.VCPU) -> Void

  /// What breaks a rule, by its id.
  private static let traces: [String: Break] = [
    "missed-host-save": { script, v in
      var v = v
      v.host = KeySlots(repeating: 0)
      used(&script, v)
    },
    "stale-enable": { script, v in
      used(&script, v)
      script.load(v, hcr: on)
      script.run(v, hcr: on)
    },
    "missed-host-restore": { script, v in
      script.load(v)
      script.run(v, hcr: on, after: 0)
    },
    "host-key-leak": { script, v in
      script.load(v)
      script.run(v, hcr: 0, after: on)
    },
    "missed-guest-restore": { script, v in
      var v = v
      v.host = KeySlots(seed: 4)
      v.guest = v.host
      used(&script, v)
    },
    "unexplained": { script, v in
      script.load(v)
      script.run(v, hcr: 0)
      script.run(v, hcr: on)
    },
    "stale-host-context": { script, v in
      var v = v
      used(&script, v)
      v.cpu = 1
      used(&script, v)
    },
    "preemptible-host-save": { script, v in
      var (a, b) = (v, v)
      b.pointer += 0x10000
      (b.tid, b.pid) = (201, 200)
      script.moveHandler(of: &a, to: b)
    },
    "missed-guest-save": { script, v in
      script.load(v)
      script.trap(v, .apiaLo, write: true, pc: 0x4000_0200)
      script.run(v, hcr: on, from: 0x4000_0200, to: 0x4000_0210)
    },
    "switch-without-feature": { script, v in
      var v = v
      v.features = Script.neither
      script.load(v)
      script.run(v, hcr: on)
    },
    "one-feature-only": { script, v in
      var v = v
      v.features = 0x24
      script.probe(.resetVCPU, v)
      script.load(v)
    },
    "keys-lost-in-migration": { script, v in
      script.probe(.resetVCPU, v)
      script.load(v)
      script.run(v, hcr: 0, from: 0xffff_8000_0000_0000, to: 0xffff_8000_0000_0020)
      script.trap(v, pc: 0xffff_8000_0000_0080)
    },
    "nested-bits-differ": { script, v in
      script.generation = .g6
      var v = v
      v.features |= 1 << 7
      script.load(v)
      script.run(v, hcr: on)
      script.add(v, .nestedEret(vcpu: v.pointer, spsr: 5, hcr: 0))
      script.load(v, hcr: on)
      script.run(v, hcr: on)
    },
    "trap-while-enabled": { script, v in
      script.load(v)
      script.trap(v, hcr: on)
    },
    "bits-differ": { script, v in
      script.load(v)
      script.run(v, hcr: EnableBits.apiMask)
    },
    "redundant-switch": { script, v in
      script.load(v)
      script.trap(v)
      script.run(v, hcr: on)
      script.run(v, hcr: on)
      script.put(v)
    },
    "redundant-host-save": { script, v in
      script.load(v)
      script.trap(v)
      script.put(v, hcr: on)
    },
    "lazy-thrash": { script, v in for _ in 0..<8 { used(&script, v) } },
    "wasted-trap": { script, v in
      script.load(v)
      script.trap(v)
      script.put(v, hcr: on)
      used(&script, v)
    },
    "undef-storm": { script, v in
      var v = v
      v.features = Script.neither
      script.load(v)
      for _ in 0..<100 { script.trap(v) }
    },
    "short-load": { script, v in
      script.generation = .g6
      script.load(v)
      script.put(v)
    },
    "eager-unused": { script, v in
      script.generation = .g3s
      script.load(v)
      script.run(v, hcr: 0)
      script.put(v)
    },
    "feature-denied": { script, v in
      script.load(v)
      script.run(v, hcr: 0, ec: 9)
      script.probe(.injectUndefined, v)
    },
    "early-clear": { script, v in
      script.load(v)
      script.trap(v)
      script.run(v, hcr: on)
      script.run(v, hcr: 0)
    },
    "fast-reentry": { script, v in
      script.generation = .g5
      script.load(v)
      script.run(v, hcr: 0, after: on)
    },
  ]

  /// One load interval that uses ptrauth as it should.
  private static func used(_ script: inout Script, _ v: Script.VCPU) {
    script.load(v)
    script.trap(v)
    script.run(v, hcr: on)
    script.put(v, hcr: on)
  }

  @Test func everyRuleOfEventsHasATrace() {
    #expect(Set(Self.traces.keys) == Set(Rule.judged(by: .events).map(\.id)))
  }

  @Test(arguments: Rule.judged(by: .events).map(\.id))
  func theTraceBreaksItsRule(id: String) throws {
    let breaks = try #require(Self.traces[id])
    var script = Script()
    breaks(&script, Script.VCPU())
    let analysis = script.replay().analysis
    #expect(analysis.findings.contains { $0.rule.id == id })
    #expect(
      !analysis.notObservable.contains { $0.rule.id == id }, "found, and yet said not to be visible"
    )
  }

  /// A rule that no event shows is exercised by the audit's tests (KernelImageTests, CodeExerciserTests).
  @Test func theOthersAreTheAudits() {
    #expect(Rule.all.allSatisfy { $0.isJudged(by: .events) || $0.isJudged(by: .audit) })
  }
}
