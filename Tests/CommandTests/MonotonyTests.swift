import Explorer
import Ptrauth
import Replay
import Testing
import Trace

/// Events taken away, and said to be lost, take knowledge away with them and never bring any: on kernels that work and on
/// kernels with a planted fault.
///
/// PTRAUTH_TRACE_SEEDS=N tries so many schedules of each fault and generation.
struct MonotonyTests {
  @Test(arguments: [nil] + Fault.all.map(\.name))
  func aLossAddsNothing(fault name: String?) throws {
    let fault = try name.map { try #require(Fault(name: $0)) }
    for generation in Generation.all {
      if let fault, fault.isNested, generation.nestedBits != .fromGuest { continue }
      for seed in 0..<max(1, ScheduleTests.seeds / 3) { check(fault, generation, seed) }
    }
  }

  /// A preempted handler that had not saved; others' handlers that were over, or whose threads ran nowhere; traps before
  /// loads were recorded.
  @Test(
    arguments: [
      ("load-keeps-enable", "v7", 100), ("load-keeps-enable", "v7", 136),
      ("load-keeps-enable", "v7", 154), ("trap-while-enabled", "v6", 113),
    ] as [(String, String, UInt64)])
  func onceAddedByALoss(fault: String, generation: String, seed: UInt64) throws {
    check(
      try #require(Fault(name: fault)), try #require(Generation(named: generation)), seed)
  }

  /// Nil where the fault is none of this generation, or makes another of it.
  private func record(
    _ fault: Fault?, _ generation: Generation, _ random: inout SplitMix
  ) -> (Setting, CourseEvents)? {
    var setting = ScheduleTests.setting(generation, &random)
    if fault?.isNested ?? false { setting.isNested = true }
    if let fault {
      guard let faulty = fault.planted(in: setting) else { return nil }
      setting = faulty
    }
    let recording = CourseEvents(Course.random(in: setting, length: 250, &random))
    let isKnown = recording.configuration.generation?.eras.contains(setting.era) ?? false
    return isKnown ? (setting, recording) : nil
  }

  private func check(_ fault: Fault?, _ generation: Generation, _ seed: UInt64) {
    var random = SplitMix(state: seed &* 1_000_003 &+ 53)
    guard let (setting, recording) = record(fault, generation, &random) else { return }
    for var view in [View.everything, .tracepointsOnly, .random(&random)] {
      view.losses = 0
      let whole = ScheduleTests.replay(recording, view, &random)
      view.losses = 1 + Int(random.next() % 3)
      var lossyEvents = random
      let lossy = ScheduleTests.replay(recording, view, &random)
      let words =
        "seed \(seed), \(generation.name) \(setting.era.name) \(setting.features), "
        + "\(fault?.name ?? "no fault"); \(view)"
      let added = rules(lossy.analysis, .proved).subtracting(rules(whole.analysis, .proved))
      #expect(added.isEmpty, "\(words): \(added)")
      // What less explains may have more explanations, each of them suspected.
      if rules(whole.analysis).isEmpty {
        let suspected = rules(lossy.analysis)
        #expect(suspected.isEmpty, "\(words): \(suspected)")
      }
      // A sample is of the shadow: that HCR_EL2 in the CPU lacks it takes the trap's own events.
      if view.hasShadow, fault?.breaks == .hcrIsShadow || fault?.breaks == .guardsAgree { continue }
      let known = Dictionary(whole.runs.map { ($0.enter, $0) }) { first, _ in first }
      // A loss is told with its pCPU's next event; what others showed until then may have been said already.
      let untold = losses(view.events(recording.events, &lossyEvents))
      for run in lossy.runs where !untold.contains(where: { $0.contains(run.enter) }) {
        guard let whole = known[run.enter] else {
          Issue.record("\(words): a run at \(run.enter) that was not")
          continue
        }
        let isLess =
          run.atEntry.bits.isWithin(whole.atEntry.bits)
          && run.atExit.bits.isWithin(whole.atExit.bits)
        #expect(
          isLess,
          "\(words): run at \(run.enter) \(run.atEntry) \(run.atExit), had been \(whole.atEntry) \(whole.atExit)"
        )
        if !isLess { return }
      }
    }
  }

  /// Kinds of events, or fields of probes, that were not recorded at all.
  @Test(arguments: [nil] + Fault.all.map(\.name))
  func whatWasNotRecordedProvesNothing(fault name: String?) throws {
    let fault = try name.map { try #require(Fault(name: $0)) }
    for generation in Generation.all {
      if let fault, fault.isNested, generation.nestedBits != .fromGuest { continue }
      for seed in 0..<max(1, ScheduleTests.seeds / 3) { withhold(fault, generation, seed) }
    }
  }

  /// A reset behind a handler without an event; a trap whose vCPU may have nested guests; keys behind an exit that did
  /// not restore any.
  @Test(
    arguments: [
      (nil, "v7", 1), ("trap-while-enabled", "6.10", 3), ("bits-cleared-in-pass", "v7", 3),
      // Other vCPUs' handlers, between a load that no probe shows and the entry; and traps of a register that no event names.
      ("load-keeps-enable", "v7", 55), ("load-keeps-enable", "6.5", 105),
      // A reset that no load shows.
      ("nested-bits-ignored", "6.10", 63), ("nested-bits-ignored", "6.10", 78),
    ] as [(String?, String, UInt64)])
  func onceProvedByLess(fault name: String?, generation: String, seed: UInt64) throws {
    let fault = try name.map { try #require(Fault(name: $0)) }
    withhold(fault, try #require(Generation(named: generation)), seed)
  }

  private func withhold(_ fault: Fault?, _ generation: Generation, _ seed: UInt64) {
    var random = SplitMix(state: seed &* 1_000_003 &+ 97)
    guard let (setting, recording) = record(fault, generation, &random) else { return }
    let whole = ScheduleTests.replay(recording, .everything, &random).analysis
    for _ in 0..<4 {
      var view = View.random(&random)
      view.losses = 0
      let less = ScheduleTests.replay(recording, view, &random).analysis
      let words =
        "seed \(seed), \(generation.name) \(setting.era.name) \(setting.features), "
        + "\(fault?.name ?? "no fault"); \(view)"
      var added = rules(less, .proved).subtracting(rules(whole, .proved))
      // Whoever traps with both bits in the shadow is denied the feature, which shows where they are not sampled.
      if rules(whole).contains(Rule.trapWhileEnabled.id) { added.remove(Rule.featureDenied.id) }
      // What follows from it is told on its own where the features are not known.
      if rules(whole).contains(Rule.switchWithoutFeature.id) {
        added.remove(Rule.missedHostSave.id)
      }
      #expect(added.isEmpty, "\(words): \(added) proved, whole \(rules(whole))")
      if rules(whole).isEmpty {
        let suspected = rules(less)
        #expect(suspected.isEmpty, "\(words): \(suspected)")
      }
    }
  }

  enum Switched: String, CaseIterable {
    case probes, tracepoints, entries, exits, handlers

    func has(_ event: Event) -> Bool {
      switch (self, event.payload) {
      case (.probes, .probe): true
      case (.handlers, .probe(let hit)): hit.address == CourseEvents.address(of: .handleExit)
      case (.tracepoints, .entry), (.tracepoints, .exit), (.tracepoints, .handleSysReg),
        (.tracepoints, .userspaceExit), (.entries, .entry), (.exits, .exit):
        true
      default: false
      }
    }
  }

  /// A recorder turns its events on and off one after another: for a moment it has some of them only.
  @Test(arguments: Switched.allCases)
  func whatBeginsLaterOrEndsEarlierAccusesNobody(switched: Switched) {
    for generation in Generation.all {
      for seed in 0..<ScheduleTests.seeds { turn(switched, generation, seed) }
    }
  }

  /// Traps from before loads were recorded, judged behind that.
  @Test(arguments: [("v6", 232), ("v7", 454)] as [(String, UInt64)])
  func onceAccusedByLateProbes(generation: String, seed: UInt64) throws {
    turn(.probes, try #require(Generation(named: generation)), seed)
  }

  private func turn(_ switched: Switched, _ generation: Generation, _ seed: UInt64) {
    var random = SplitMix(state: seed &* 1_000_003 &+ 71)
    var setting = ScheduleTests.setting(generation, &random)
    // What v7 to 5.7 do by design.
    if generation.hostSave == .preemptibleTrap { setting.preemptsHandler = false }
    let recording = CourseEvents(Course.random(in: setting, length: 250, &random))
    guard recording.configuration.generation?.eras.contains(setting.era) == true else { return }
    var view = View.everything
    view.hasKeys = random.next() % 2 == 0
    let events = view.events(recording.events, &random)
    let middle = events[Int(random.next() % UInt64(events.count))].time
    for isOn in [true, false] {
      let left = events.filter { !switched.has($0) || ($0.time >= middle) == isOn }
      let accused = rules(ScheduleTests.replay(recording, view, left).analysis)
      let words =
        "seed \(seed), \(generation.name) \(setting.era.name): \(switched) "
        + "\(isOn ? "from" : "until") \(middle) on, keys \(view.hasKeys)"
      #expect(accused.isEmpty, "\(words)")
    }
  }

  /// From the last event of the pCPU before it to its notice.
  private func losses(_ events: [Event]) -> [ClosedRange<UInt64>] {
    var last: [Int32: UInt64] = [:]
    var losses: [ClosedRange<UInt64>] = []
    for event in events {
      if case .lost = event.payload { losses.append((last[event.cpu] ?? 0)...event.time) }
      last[event.cpu] = event.time
    }
    return losses
  }

  private func rules(_ analysis: Analysis, _ level: Finding.Level = .suspected) -> Set<String> {
    Set(
      analysis.findings.filter { $0.rule.isCorrectness && $0.level >= level }.map(\.rule.id))
  }
}

extension EnableBits {
  /// What is known here is known there, and the same.
  fileprivate func isWithin(_ other: EnableBits) -> Bool {
    (api == .unknown || api == other.api) && (apk == .unknown || apk == other.apk)
  }
}
