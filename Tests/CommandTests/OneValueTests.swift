import Explorer
import Ptrauth
import Replay
import Report
import Testing

/// A fault, or a generation, is one value: what explores, observes and explains takes it as it takes those of the tables.
struct OneValueTests {
  private static let fault = Fault(
    "exit-enables", "guest exit sets both bits", .hostSavedBeforeEntry, .hostKeyLeak, in: .g2
  ) { $1.guestExit.append(Line(.hasFeature, .enable(api: true, apk: true))) }

  @Test func aFaultIsKilledAndShown() {
    let found = Verification(Self.fault.setting, fault: Self.fault)
    #expect(found.violations.contains { $0.invariant == Self.fault.breaks })
    let words = VerificationText.render(found, style: Style(isColoured: false))
    #expect(words.contains("exit-enables") && words.contains("guest exit sets both bits"))
    let setting = Self.fault.planted(in: Self.fault.setting)
    #expect(setting.map { AutomatonDot.render(Automaton($0)).isEmpty } == false)
  }

  /// 5.16, but the host's keys are saved at every load instead of in the trap at EL2.
  private static let generation: Generation = {
    var own = Generation.g5
    (own.name, own.id, own.origin) = ("saves-at-load", "GX", "this test")
    own.hostSave = .everyLoad
    return own
  }()

  @Test func aGenerationIsExplored() {
    let found = Verification(Setting(Self.generation))
    #expect(found.isComplete && found.violations.isEmpty)
    let others = Verification(Setting(.g5)).explorations
    #expect(found.explorations.map(\.stateCount) != others.map(\.stateCount))
    let without = Fault(
      "no-save", "the load saves nothing", .hostSavedBeforeEntry, .missedHostSave,
      in: Self.generation
    ) { $1.load.removeAll { if case .saveHost = $0.step { true } else { false } } }
    #expect(!Verification(without.setting, fault: without).violations.isEmpty)
  }

  @Test func aGenerationIsObserved() throws {
    for seed in 0..<6 { ScheduleTests().check(Self.generation, UInt64(seed)) }
    var known = 0
    var rules: Set<String> = []
    for seed in 0..<12 {
      var random = SplitMix(state: UInt64(seed) &* 1_000_003 &+ 5)
      var setting = ScheduleTests.setting(Self.generation, &random)
      setting.features = setting.features.map { _ in .both }
      let right = CourseEvents(Course.random(in: setting, length: 250, &random))
      known += ScheduleTests.replay(right, .everything, &random).runs
        .count { $0.atEntry.bits.isKnown }
      let keeps = try #require(Fault(name: "load-keeps-enable"))
      let faulty = try #require(keeps.planted(in: setting))
      let wrong = CourseEvents(Course.random(in: faulty, length: 250, &random))
      rules.formUnion(
        ScheduleTests.replay(wrong, .everything, &random).analysis.findings
          .filter { $0.level == .proved && $0.rule.isCorrectness }.map(\.rule.id))
    }
    #expect(known > 100)
    #expect(rules == ["stale-enable"])
  }
}
