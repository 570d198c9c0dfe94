import Explorer
import Ptrauth
import Replay
import Testing

/// Schedules on kernels with a planted fault, as kvm tracepoints alone show them: what is said to be known is what
/// HCR_EL2 held there too. The standard code is what is on trial.
///
/// PTRAUTH_TRACE_SEEDS=N tries so many schedules of each fault and generation.
struct FaultyKnowledgeTests {
  @Test(arguments: Fault.all.map(\.name))
  func whatIsKnownIsTheCPUs(name: String) throws {
    let fault = try #require(Fault(name: name))
    for generation in Generation.all where !fault.isNested || generation.nestedBits == .fromGuest {
      for seed in 0..<ScheduleTests.seeds {
        var random = SplitMix(state: seed &* 1_000_003 &+ 17)
        var setting = ScheduleTests.setting(generation, &random)
        if fault.isNested { setting.isNested = true }
        guard let faulty = fault.planted(in: setting) else { continue }
        let recording = CourseEvents(Course.random(in: faulty, length: 250, &random))
        guard recording.configuration.generation?.eras.contains(setting.era) == true else {
          continue
        }
        let (_, runs) = ScheduleTests.replay(recording, .tracepointsOnly, &random)
        for run in runs {
          let truth = try #require(recording.runs[run.enter])
          let isSo =
            ScheduleTests.isTrue(run.atEntry.bits, truth.entry)
            && ScheduleTests.isTrue(run.atExit.bits, truth.exit)
          #expect(
            isSo,
            "seed \(seed), \(generation.name) \(setting.era.name) \(setting.features): run at \(run.enter) \(run.atEntry) \(run.atExit), was \(truth)"
          )
          if !isSo { break }
        }
      }
    }
  }
}
