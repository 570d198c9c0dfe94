import Explorer
import Ptrauth
import Replay
import Testing

@testable import ptrauth_trace

/// Every planted fault gives a counterexample, and the analyzer, which knows nothing of the explorer,
/// reports the counterexample's events under the fault's rule and under no other that does not follow
/// from it.
struct FaultTests {
  /// Rules that are broken too, because the fault's own is: what the unsaved host slots of a stale
  /// enable hold, and what a vCPU that no load clears leaves behind.
  private let consequences: [String: Set<String>] = [
    "load-keeps-enable": ["missed-host-save"],
    "migration-keeps-enable": ["missed-host-save"],
    "enable-without-feature": ["missed-host-save"],
    // L1's bits are set with no trap: the slots were never saved. (Its host slots are per-CPU data.)
    "nested-bits-leak": [],
  ]

  private func counterexample(_ fault: Fault) throws -> Counterexample {
    let setting = try #require(fault.planted(in: fault.setting))
    let found = setting.registerClasses.compactMap {
      Exploration(setting, $0, until: Invariants([fault.breaks])).counterexamples[fault.breaks]
    }
    return try #require(found.min { $0.steps.count < $1.steps.count })
  }

  private func replay(_ recording: CounterexampleEvents) -> Analysis {
    var replayer = Replayer(recording.configuration)
    for event in recording.events { replayer.consume(event) }
    return replayer.finish()
  }

  @Test(arguments: Fault.all.map(\.name))
  func isReportedUnderItsRule(name: String) throws {
    let fault = try #require(Fault(name: name))
    let found = try counterexample(fault)
    let analysis = replay(CounterexampleEvents(found))
    let rules = Set(analysis.findings.filter(\.rule.isCorrectness).map(\.rule.id))
    var allowed = consequences[name] ?? []
    if let rule = fault.rule {
      allowed.insert(rule.id)
      let isHidden = analysis.notObservable.contains { $0.rule == rule }
      if Analysis.judgedRules.contains(rule), !isHidden {
        #expect(rules.contains(rule.id), "\(name): \(rules)")
      }
    }
    #expect(rules.isSubset(of: allowed), "\(name): \(rules)")
    #expect(analysis.sequenceBreaks == 0 && !analysis.isIncomplete, "\(name)")
  }

  /// The same conversion of runs that break nothing: no rule fires on them.
  @Test(arguments: Fault.all.map(\.name))
  func withoutTheFaultNothingIsReported(name: String) throws {
    let fault = try #require(Fault(name: name))
    let clean = try counterexample(fault).replanned(in: fault.setting)
    let analysis = replay(CounterexampleEvents(clean))
    #expect(analysis.findings.filter(\.rule.isCorrectness).isEmpty, "\(name)")
  }
}
