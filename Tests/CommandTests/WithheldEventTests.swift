import Ptrauth
import Replay
import Testing
import Trace
import ptrauth_trace

/// Recorded events taken away, with and without their formats: on a working kernel that makes no finding, and on a
/// faulty one no clean verdict that counts the fault's rule as judged.
struct WithheldEventTests {
  private static let rules = [
    "trap-skips-host-save": "missed-host-save", "load-keeps-enable": "stale-enable",
    "migration-keeps-enable": "stale-enable", "exit-skips-guest-save": "missed-guest-save",
    "enable-without-feature": "switch-without-feature",
  ]

  /// One of each kind: a replay of each, many times, takes its time.
  private static let corpora = Corpus.all.filter {
    $0.name.hasPrefix("traces/")
      || ["v7/load-keeps-enable", "v7/exit-skips-guest-save"].contains($0.name)
  }

  @Test(arguments: corpora)
  func oneOrTwoKindsAreTakenAway(corpus: Corpus) throws {
    var file = try PerfDataFile(path: corpus.recording)
    let session = try Session(
      recording: corpus.recording, vmlinux: corpus.vmlinux, generation: nil)
    let binding = try #require(session.binding)
    var events: [Event] = []
    try file.readEvents { events.append(copy $0) }
    let kinds = events.map { Self.kind($0, binding) }
    let all = Set(kinds.compactMap(\.self)).sorted()
    let fault = try #require(corpus.fact("planted fault"))
    var random = SplitMix(state: 11)
    var choices = all.map { [$0] }
    for _ in 0..<3 {
      choices.append((0..<2).map { _ in all[Int(random.next() % UInt64(all.count))] })
    }
    for choice in choices {
      var configuration = session.configuration(false)
      // A format that stays behind has no hit, and is not among those that were shown.
      configuration.recordedEvents = file.recording.shownEvents.filter { event in
        !choice.contains { Self.isOf(event, $0) }
      }
      var replayer = Replayer(configuration)
      for (event, kind) in zip(events, kinds) where !choice.contains(kind ?? "") {
        replayer.consume(event)
      }
      let analysis = replayer.finish()
      let found = analysis.findings.filter(\.rule.isCorrectness).map(\.rule.id)
      if fault == "none" {
        #expect(found.isEmpty, "without \(choice)")
        #expect(analysis.sequenceBreaks == 0, "without \(choice)")
      } else if let rule = Self.rules[fault], analysis.verdict == .clean {
        #expect(!analysis.judged.contains { $0.id == rule }, "without \(choice)")
      }
    }
  }

  private static func kind(_ event: Event, _ binding: KernelBinding) -> String? {
    switch event.payload {
    case .entry: "kvm_entry"
    case .exit: "kvm_exit"
    case .handleSysReg: "kvm_handle_sys_reg"
    case .sysAccess: "kvm_sys_access"
    case .userspaceExit: "kvm_userspace_exit"
    case .setupDebug: "kvm_arm_setup_debug"
    case .schedSwitch: "sched_switch"
    case .migrateTask: "sched_migrate_task"
    case .probe(let hit): hit.isReturn ? nil : binding.function(at: hit.address)?.rawValue
    case .vcpuNumber, .nestedEret, .nestedException, .fork, .lost: nil
    }
  }

  /// The probes of the recordings are named after what they are on.
  private static func isOf(_ event: RecordedEvent, _ kind: String) -> Bool {
    let names = [
      "kvm_arch_vcpu_load": "vcpu_load", "kvm_arch_vcpu_put": "vcpu_put",
      "kvm_vgic_flush_hwstate": "flush", "kvm_vgic_sync_hwstate": "sync",
      "kvm_reset_vcpu": "vcpu_reset", "kvm_arm_vcpu_ptrauth_trap": "ptrauth_trap",
      "__kvm_vcpu_run": "vcpu_run", "kvm_inject_undefined": "inject_undefined",
    ]
    return event.name == kind || event.isProbe && event.name == names[kind]
  }
}
