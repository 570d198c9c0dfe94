import Explorer
import Ptrauth
import Replay
import Testing

/// Faults that no table knows, in schedules by chance: where the shadow was sampled as the generation's code never
/// leaves it, the recording is not clean.
struct InventedFaultTests {
  struct Invention: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var generations: [Generation]
    var edit: @Sendable (inout Code) -> Void
    /// The step shows it to whoever samples the shadow.
    var shows: @Sendable (Happening) -> Bool
    /// What it may be reported as.
    var rules: Set<String>
  }

  private static let enable = Step.enable(api: true, apk: true)

  static let all = [
    Invention(
      testDescription: "guest exit clears the shadow behind its guard",
      // Where traps are answered at EL2 it looks like a guest that uses nothing.
      generations: [.g6],
      edit: { $0.guestExit.append(Line(.hcrSet, .disable)) },
      shows: { if case .exit = $0.kind { $0.before.hcr == .set } else { false } },
      rules: ["unexplained", "feature-denied"]),
    Invention(
      testDescription: "guest exit sets the shadow",
      generations: [.g2, .g3s],
      edit: { $0.guestExit.append(Line(.hasFeature, enable)) },
      shows: {
        if case .exit = $0.kind { $0.before.hcr == .clear && $0.after.bits == .set } else { false }
      },
      rules: [
        "unexplained", "host-key-leak", "missed-host-save", "stale-enable", "missed-guest-restore",
      ]),
    Invention(
      testDescription: "a load on the same pCPU clears",
      generations: [.g6],
      edit: { $0.load.append(Line(.sameCPU, .disable)) },
      shows: { if case .entry = $0.kind { $0.after.hcr == .clear } else { false } },
      rules: ["unexplained", "feature-denied"]),
    Invention(
      testDescription: "a load on another pCPU sets APK alone",
      generations: [.g2, .g4],
      edit: { $0.load.append(Line(.hasFeature, .enable(api: false, apk: true))) },
      shows: { if case .entry = $0.kind { $0.after.hcr.api != $0.after.hcr.apk } else { false } },
      rules: [
        "unexplained", "bits-differ", "stale-enable", "missed-host-save", "trap-while-enabled",
      ]),
  ]

  @Test(arguments: all)
  func isNotClean(invention: Invention) {
    var shown = 0
    for generation in invention.generations {
      for seed in 0..<max(8, ScheduleTests.seeds) {
        var random = SplitMix(state: seed &* 1_000_003 &+ 29)
        var setting = ScheduleTests.setting(generation, &random)
        setting.features = setting.features.map { _ in .both }
        setting.isNested = false
        invention.edit(&setting.code)
        let course = Course.random(in: setting, length: 250, &random)
        let recording = CourseEvents(course)
        let (analysis, _) = ScheduleTests.replay(recording, .everything, &random)
        let rules = Set(analysis.findings.filter(\.rule.isCorrectness).map(\.rule.id))
        let words = "\(invention.testDescription), \(generation.name), seed \(seed): \(rules)"
        #expect(
          rules.isSubset(of: invention.rules.union(["preemptible-host-save"])), "\(words)")
        guard course.happenings.contains(where: invention.shows) else { continue }
        shown += 1
        #expect(analysis.verdict == .findings, "\(words)")
      }
    }
    #expect(shown > 4)
  }
}
