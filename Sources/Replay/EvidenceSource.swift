public import Trace

/// One kind of evidence that the replay can use, and the events of a recording that hold it.
public struct EvidenceSource: Sendable {
  public var kind: Kind
  /// "system:name" of the events that hold it, in the recording's order.
  public var events: [String]
  /// How often they were hit.
  public var count: UInt64

  /// Held, and hit at least once.
  public var isThere: Bool { count > 0 }

  public enum Kind: String, Sendable, CaseIterable {
    case runs, traps, loads, tasks, migrations, userspaceExits
    case identity, shadow, functions, features, guestKeys, hostKeys, hostContext, instructions

    /// What it shows.
    public var words: String {
      switch self {
      case .runs: "runs: guest entries and exits"
      case .traps: "which register a trapped access was to"
      case .loads: "loads and puts"
      case .tasks: "task switches, which imply loads and puts"
      case .migrations: "migrations between pCPUs"
      case .userspaceExits: "returns to user space, which imply loads and puts"
      case .identity: "which vCPU an event is of"
      case .shadow: "API and APK: the shadow of HCR_EL2"
      case .functions: "entries of functions: loads, puts, and traps handled at EL2"
      case .features: "whether the vCPU has ptrauth"
      case .guestKeys: "the guest's key slots"
      case .hostKeys: "the host's key slots"
      case .hostContext: "which host context is in force (up to 5.7)"
      case .instructions: "executed instructions, which show passes"
      }
    }

    /// What would record it.
    public var remedy: String {
      switch self {
      case .runs: "record kvm:kvm_entry and kvm:kvm_exit"
      case .traps: "record kvm:kvm_handle_sys_reg, or probe handle_exit with esr_el2"
      case .loads: "probe kvm_arch_vcpu_load with vcpu and cpu, and kvm_arch_vcpu_put with vcpu"
      case .tasks: "record sched:sched_switch"
      case .migrations: "record sched:sched_migrate_task"
      case .userspaceExits: "record kvm:kvm_userspace_exit"
      case .identity: "fetch vcpu in the probes; one thread is taken for one vCPU without it"
      case .shadow: "probe kvm_vgic_flush_hwstate and kvm_vgic_sync_hwstate with vcpu and hcr_el2"
      case .functions:
        "trace functions: `trace-cmd record -p function -l kvm_hyp_handle_ptrauth -l kvm_arch_vcpu_load -l "
          + "kvm_arch_vcpu_put` (5.16 to 6.9, where nothing else shows these traps)"
      case .features: "add features to the probes"
      case .guestKeys: "probe handle_exit with the guest's ten key slots (apiakeylo_el1 ...)"
      case .hostKeys: "probe handle_exit with the host's ten key slots (host_apiakeylo_el1 ...)"
      case .hostContext: "probe kvm_arch_vcpu_put with vcpu and host_ctxt"
      case .instructions:
        "trace branches (CoreSight: `perf record -a -e cs_etm//k`, then `perf inject --itrace=b`), or sample "
          + "with branch stacks (`perf record -b`, BRBE)"
      }
    }
  }

  /// All kinds, in the order of ``Kind``. A probe counts by the fields it fetches: which function it
  /// is on takes a vmlinux.
  ///
  /// - Parameter instructions: the events whose samples say which instructions ran.
  public static func all(
    in events: [RecordedEvent], instructions: [InstructionSource] = []
  ) -> [EvidenceSource] {
    let sampled = Set(instructions.map(\.name))
    return Kind.allCases.map { kind in
      var source = EvidenceSource(kind: kind, events: [], count: 0)
      for event in events
      where kind == .instructions ? sampled.contains(event.name) : holds(event, kind) {
        source.events.append(event.label)
        source.count += event.count
      }
      return source
    }
  }

  private static func holds(_ event: RecordedEvent, _ kind: Kind) -> Bool {
    func isKVM(_ names: String...) -> Bool {
      event.system == "kvm" && names.contains(event.name)
    }
    func fetches(_ fields: String...) -> Bool {
      event.isProbe && Set(fields).isSubset(of: event.fields)
    }
    return switch kind {
    case .runs: isKVM("kvm_entry", "kvm_exit")
    case .traps: isKVM("kvm_handle_sys_reg", "kvm_sys_access") || fetches("vcpu", "esr_el2")
    case .loads: fetches("vcpu", "cpu")
    case .tasks: event.system == "sched" && event.name == "sched_switch"
    case .migrations: event.system == "sched" && event.name == "sched_migrate_task"
    case .userspaceExits: isKVM("kvm_userspace_exit")
    case .identity: isKVM("kvm_arm_setup_debug") || fetches("vcpu")
    case .shadow: fetches("vcpu", "hcr_el2")
    case .functions:
      event.system == "ftrace"
        && ["function", "funcgraph_entry", "fgraph_retaddr_entry"].contains(event.name)
    case .features: fetches("vcpu", "features")
    case .guestKeys: fetches("vcpu", "apiakeylo_el1", "apgakeyhi_el1")
    case .hostKeys: fetches("vcpu", "host_apiakeylo_el1", "host_apgakeyhi_el1")
    case .hostContext: fetches("vcpu", "host_ctxt")
    case .instructions: false
    }
  }
}
