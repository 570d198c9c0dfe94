import Explorer
import Glibc
import Ptrauth
import Replay
import Testing
import Trace

/// Schedules by chance, recorded by chance: the model runs them, and the analyzer sees what such a recording
/// would hold. A kernel that works is never accused, whatever is missing from its recording; bits that
/// are said to be known are what HCR_EL2 held.
///
/// PTRAUTH_TRACE_SEEDS=N tries so many schedules of each kind instead of the few of every day.
struct ScheduleTests {
  static let seeds: UInt64 = {
    guard let text = unsafe getenv("PTRAUTH_TRACE_SEEDS") else { return 3 }
    return UInt64(unsafe String(cString: text)) ?? 3
  }()

  static func setting(_ generation: Generation, _ random: inout SplitMix) -> Setting {
    let features: [Feature] = [.both, .both, .none]
    let count = 1 + Int(random.next() % 3)
    var setting = Setting(
      generation, era: generation.eras[Int(random.next() % UInt64(generation.eras.count))],
      features: (0..<count).map { _ in features[Int(random.next() % 3)] },
      cpus: 1 + Int(random.next() % 3), tasks: Int(random.next() % 3))
    setting.isOneVMM = random.next() % 2 == 0
    setting.preemptsHandler = random.next() % 2 == 0
    setting.isNested = generation.nestedBits == .fromGuest && random.next() % 3 == 0
    return setting
  }

  static func replay(
    _ recording: CourseEvents, _ view: View, _ random: inout SplitMix
  ) -> (analysis: Analysis, runs: [Run]) {
    replay(recording, view, view.events(recording.events, &random))
  }

  /// - Parameter events: what the view leaves of the recording's.
  static func replay(
    _ recording: CourseEvents, _ view: View, _ events: [Event]
  ) -> (analysis: Analysis, runs: [Run]) {
    var configuration = recording.configuration
    configuration.recordedEvents = view.recorded(configuration.recordedEvents)
    var runs: [Run] = []
    var replayer = Replayer(configuration) { line in
      if case .run(let run) = line { runs.append(run) }
    }
    for event in events { replayer.consume(event) }
    return (replayer.finish(), runs)
  }

  /// What a known bit claims is what the CPU had.
  static func isTrue(_ known: EnableBits, _ truth: EnableBits) -> Bool {
    (known.api == .unknown || known.api == truth.api)
      && (known.apk == .unknown || known.apk == truth.apk)
  }

  @Test(arguments: Generation.all.map(\.name))
  func aWorkingKernelIsNeverAccused(name: String) throws {
    let generation = try #require(Generation(named: name))
    for seed in 0..<Self.seeds { check(generation, seed) }
  }

  @Test(
    arguments: [
      // A load that no event shows, inside of a handler that was preempted.
      ("v7", 80), ("5.2", 80),
      // A guest's write that trapped, and a reset before it was retried.
      ("v6", 220), ("v7", 442), ("5.2", 442),
      // A handler that was moved before its save began.
      ("v7", 238),
      // What a moved save did to a register that nobody followed.
      ("5.2", 445),
    ] as [(String, UInt64)])
  func onceAccused(name: String, seed: UInt64) throws {
    check(try #require(Generation(named: name)), seed)
  }

  func check(_ generation: Generation, _ seed: UInt64) {
    var random = SplitMix(state: seed &* 1_000_003)
    let setting = Self.setting(generation, &random)
    let hasSErrors = random.next() % 2 == 0
    let course = Course.random(in: setting, length: 250, hasSErrors: hasSErrors, &random)
    let recording = CourseEvents(course)
    // What v7 to 5.7 do by design.
    let isPreempted = generation.hostSave == .preemptibleTrap && setting.preemptsHandler
    let broken = isPreempted ? course.brokenInAny.list : []
    let harmful: Set<String> =
      broken.contains { $0 != .saveNotInterrupted } ? ["missed-host-save"] : []
    // A trap with an SError pending is not answered, which makes the next one suspect.
    let doubtful =
      (isPreempted ? [Rule.preemptibleHostSave.id] : [])
      + (hasSErrors ? [Rule.trapWhileEnabled.id] : [])
    for view in [View.everything, .tracepointsOnly, .random(&random), .random(&random)] {
      let (analysis, runs) = Self.replay(recording, view, &random)
      let rules = Set(
        analysis.findings.filter {
          $0.rule.isCorrectness && !($0.level == .suspected && doubtful.contains($0.rule.id))
        }.map(\.rule.id))
      #expect(
        rules.isSubset(of: harmful),
        "seed \(seed), \(setting.era.name) \(setting.features) \(setting.isNested): \(rules), \(broken); \(view)"
      )
      // A trap with an SError pending is not answered, and no event tells.
      for run in runs where !hasSErrors {
        guard let truth = recording.runs[run.enter] else {
          Issue.record("seed \(seed): a run that was not at \(run.enter); \(view)")
          continue
        }
        let isSo =
          Self.isTrue(run.atEntry.bits, truth.entry) && Self.isTrue(run.atExit.bits, truth.exit)
        let words =
          "seed \(seed), \(generation.name) \(setting.era.name) \(setting.features) \(setting.isNested): run at \(run.enter) \(run.atEntry) "
          + "\(run.atExit), was \(truth); \(view)"
        #expect(isSo, "\(words)")
        if !isSo { break }
      }
    }
  }
}
