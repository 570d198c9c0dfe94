import Explorer
import Ptrauth
import Replay
import Testing
import ptrauth_trace

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

  private func counterexample(_ fault: Fault) throws -> Course {
    let setting = try #require(fault.planted(in: fault.setting))
    let found = setting.registerClasses.compactMap {
      Exploration(setting, $0, until: Invariants([fault.breaks])).counterexamples[fault.breaks]
    }
    return try #require(found.min { $0.steps.count < $1.steps.count }).course
  }

  private func replay(_ recording: CourseEvents) -> Analysis {
    var replayer = Replayer(recording.configuration)
    for event in recording.events { replayer.consume(event) }
    return replayer.finish()
  }

  /// Faults that no recording shows (``Fault/hidden`` says why).
  private static let hidden = [
    "hcr-without-shadow", "id-mask", "load-skips-host-save", "missing-isb", "visible-key-registers",
  ]

  @Test func everyFaultIsReportedOrSaysWhyNot() {
    #expect(Set(Fault.all.filter { $0.rule == nil }.map(\.name)) == Set(Self.hidden))
    for fault in Fault.all {
      #expect((fault.rule == nil) == (fault.hidden != nil), "\(fault.name)")
      if let rule = fault.rule { #expect(rule.isJudged(by: .events), "\(fault.name)") }
    }
  }

  @Test(arguments: Fault.all.filter { $0.rule != nil }.map(\.name))
  func isReportedUnderItsRule(name: String) throws {
    let fault = try #require(Fault(name: name))
    let rule = try #require(fault.rule)
    let analysis = replay(CourseEvents(try counterexample(fault).continued))
    let rules = Set(analysis.findings.filter(\.rule.isCorrectness).map(\.rule.id))
    #expect(rules.contains(rule.id), "\(name): \(rules)")
    #expect(rules.isSubset(of: (consequences[name] ?? []).union([rule.id])), "\(name): \(rules)")
    #expect(
      !analysis.notObservable.contains { $0.rule == rule }, "reported, and said not to be visible")
    #expect(analysis.sequenceBreaks == 0 && !analysis.isIncomplete, "\(name)")
  }

  /// With every probe, and keys and all: nothing is to be seen, and nothing is made up.
  @Test(arguments: hidden)
  func isNotObservable(name: String) throws {
    let fault = try #require(Fault(name: name))
    let found = try counterexample(fault)
    let recording = CourseEvents(found.continued)
    let analysis = replay(recording)
    let rules = analysis.findings.filter(\.rule.isCorrectness).map(\.rule.id)
    #expect(rules.isEmpty, "\(name): \(rules)")
    switch name {
    case "load-skips-host-save":
      #expect(analysis.notObservable.contains { $0.rule == .missedHostSave && $0.applies })
    case "missing-isb": #expect(!Rule.missingISB.isJudged(by: .events))
    case "hcr-without-shadow":
      // As of a guest that does not use pointer authentication.
      let counters = analysis.vcpus.map(\.counters)
      #expect(counters.contains { $0.runs > 0 })
      #expect(counters.allSatisfy { $0.instructionTraps + $0.registerTraps + $0.enabledRuns == 0 })
    default:
      // Not an event differs from those of a kernel without the fault.
      let clean = CourseEvents(found.replanned(in: fault.setting).continued)
      #expect(recording.events.map { "\($0)" } == clean.events.map { "\($0)" }, "\(name)")
    }
  }

  /// The same conversion of runs that break nothing: no rule fires on them.
  @Test(arguments: Fault.all.map(\.name))
  func withoutTheFaultNothingIsReported(name: String) throws {
    let fault = try #require(Fault(name: name))
    let clean = try counterexample(fault).replanned(in: fault.setting)
    let analysis = replay(CourseEvents(clean.continued))
    #expect(analysis.findings.filter(\.rule.isCorrectness).isEmpty, "\(name)")
  }
}
