import Explorer
import Ptrauth
import Replay
import Testing

/// The schedules of ``ScheduleTests`` on kernels with a planted fault: what is proved is the fault or follows from it,
/// and no recording that the fault shows in is clean under its rule.
///
/// PTRAUTH_TRACE_SEEDS=N tries so many schedules of each fault and generation.
struct FaultyScheduleTests {
  /// What else is broken when the fault is: by what it leaves in the slots, or takes from the guest.
  private let consequences: [String: Set<String>] = [
    "load-keeps-enable": ["missed-host-save"],
    "migration-keeps-enable": ["missed-host-save"],
    "enable-without-feature": ["missed-host-save"],
    "nested-bits-leak": ["missed-host-save", "stale-enable"],
    // The guard of guest exit finds the bits clear: nothing is saved either; and where every load sets them, the next
    // entry finds them clear.
    "bits-cleared-in-pass": ["missed-guest-save", "feature-denied"],
    // Where host_cpu_context shows the slots.
    "load-skips-host-save": ["missed-host-save"],
    // Where the entry was not sampled, the trap may also be a load's fault.
    "trap-while-enabled": ["feature-denied"],
    // What the save was split for.
    "preemptible-host-save": ["missed-host-save"],
    "save-before-enable": ["preemptible-host-save"],
  ]

  @Test(arguments: Fault.all.map(\.name))
  func whatIsProvedIsTheFault(name: String) throws {
    let fault = try #require(Fault(name: name))
    for generation in Generation.all {
      for seed in 0..<ScheduleTests.seeds { check(fault, generation, seed) }
    }
  }

  /// Schedules whose fault was once judged and not seen, each for a reason of its own.
  @Test(arguments: [
    // A return to user mode had installed the keys anew before they were saved.
    ("exit-skips-host-restore", "5.2", 10), ("exit-skips-host-restore", "5.2", 23),
    // A reset that no probe showed had written the guest's slots.
    ("exit-skips-host-restore", "v7", 64),
    // A task switch that no event shows had.
    ("exit-skips-host-restore", "v7", 223), ("exit-skips-host-restore", "5.2", 223),
    // Slots sampled at kvm_vgic_sync_hwstate were taken for those that the run began with.
    ("enter-skips-restore", "v7", 40), ("enter-skips-restore", "v7", 68),
    // The nested guest had both bits, as its hypervisor has.
    ("nested-bits-ignored", "6.10", 30),
    // No probe showed the put in the reset.
    ("reset-returns-early", "5.0", 32),
    // The recording ended within the run that shows it.
    ("migration-keeps-enable", "v7", 485), ("migration-keeps-enable", "5.8", 322),
    ("enable-without-feature", "v7", 223),
    // A preempted handler had saved before it was preempted, and enabled where another thread had saved since.
    ("save-before-enable", "v7", 153), ("save-before-enable", "v7", 353),
  ])
  func onceSaidToBeClean(name: String, generation: String, seed: UInt64) throws {
    check(
      try #require(Fault(name: name)), try #require(Generation(named: generation)), seed)
  }

  /// A nested guest was entered where another pCPU's events were lost, which it told later.
  @Test func onceProvedAndNotSo() throws {
    check(try #require(Fault(name: "id-mask")), .g6, 232)
  }

  private func check(_ fault: Fault, _ generation: Generation, _ seed: UInt64) {
    // A nested guest where no kernel runs one.
    if fault.isNested, generation.nestedBits != .fromGuest { return }
    // A load that leaves the bits set shows at an entry before the next load.
    let harm = fault.breaks == .loadClears ? .hostSavedBeforeEntry : fault.breaks
    let name = fault.name
    var random = SplitMix(state: seed &* 1_000_003 &+ 17)
    var setting = ScheduleTests.setting(generation, &random)
    if fault.isNested { setting.isNested = true }
    guard let faulty = fault.planted(in: setting) else { return }
    let course = Course.random(in: faulty, length: 250, &random)
    let recording = CourseEvents(course)
    // The fault may make the code that of a generation which never ran in such a kernel.
    guard recording.configuration.generation?.eras.contains(setting.era) == true else {
      return
    }
    for view in [View.everything, .tracepointsOnly, .random(&random)] {
      let (analysis, _) = ScheduleTests.replay(recording, view, &random)
      let words =
        "\(name), seed \(seed), \(generation.name) \(setting.era.name) \(setting.features), broken "
        + "\(course.broken.list); \(view)"
      let proved = Set(
        analysis.findings.filter { $0.rule.isCorrectness && $0.level == .proved }.map(\.rule.id)
      )
      var allowed = (consequences[name] ?? []).union(fault.rule.map { [$0.id] } ?? [])
      // What v7 to 5.7 do by design, where it did do harm.
      if generation.hostSave == .preemptibleTrap, setting.preemptsHandler {
        allowed.formUnion(["preemptible-host-save", "missed-host-save"])
      }
      #expect(proved.isSubset(of: allowed), "\(words): \(proved)")
      guard let rule = fault.rule, analysis.verdict == .clean,
        course.broken.list.contains(harm), name != "trap-while-enabled" || course.trapsEnabled
      else { continue }
      #expect(!analysis.judged.contains(rule), "\(words): clean")
    }
  }
}

extension Course {
  /// A guest was trapped for want of a bit that the shadow had: where it was not, nobody can see that HCR_EL2 lacked it.
  fileprivate var trapsEnabled: Bool {
    happenings.contains { happening in
      guard case .exit(.trap(let use, _)) = happening.kind else { return false }
      return (use == .instruction ? happening.before.bits.api : happening.before.bits.apk) == .set
    }
  }
}
