import Bytes

/// Turns the raw records of one event into what happened. Field places are resolved once, by name.
package struct EventDecoder: BitwiseCopyable {
  private enum Kind {
    case entry
    case exit
    case handleSysReg
    case sysAccess
    case userspaceExit
    case setupDebug
    case vcpuNumber
    case nestedEret
    case nestedException
    case schedSwitch
    case migrateTask
    case function
  }

  /// The fields a kind needs, in the order that ``read(_:into:)`` reads them.
  private static let known: [String: (Kind, [String])] = [
    "kvm:kvm_entry": (.entry, ["vcpu_pc"]),
    "kvm:kvm_exit": (.exit, ["ret", "esr_ec", "vcpu_pc"]),
    "kvm:kvm_handle_sys_reg": (.handleSysReg, ["hsr"]),
    "kvm:kvm_sys_access": (
      .sysAccess, ["vcpu_pc", "is_write", "Op0", "Op1", "CRn", "CRm", "Op2"]
    ),
    "kvm:kvm_userspace_exit": (.userspaceExit, ["reason", "errno"]),
    "kvm:kvm_arm_setup_debug": (.setupDebug, ["vcpu"]),
    "kvm:kvm_halt_poll_ns": (.vcpuNumber, ["vcpu_id"]),
    "kvm:kvm_get_timer_map": (.vcpuNumber, ["vcpu_id"]),
    "kvm:kvm_nested_eret": (.nestedEret, ["vcpu", "spsr_el2", "hcr_el2"]),
    "kvm:kvm_inject_nested_exception": (.nestedException, ["vcpu"]),
    "sched:sched_switch": (.schedSwitch, ["prev_pid", "prev_state", "next_pid"]),
    "sched:sched_migrate_task": (.migrateTask, ["pid", "orig_cpu", "dest_cpu"]),
    // kernel/trace/trace_entries.h
    "ftrace:function": (.function, ["ip"]),
    "ftrace:funcgraph_entry": (.function, ["func"]),
    "ftrace:fgraph_retaddr_entry": (.function, ["func"]),
  ]

  private let kind: Kind
  private var fields = InlineArray<7, NumberField>(repeating: .absent)

  /// nil when the analysis has no use for the event, or when a field it needs is missing: then
  /// `complaint` says which.
  init?(_ format: EventFormat, complaint: inout String?) {
    guard let (kind, names) = Self.known["\(format.system):\(format.name)"] else { return nil }
    self.kind = kind
    for (index, name) in names.enumerated() {
      guard let field = format.field(name) else {
        complaint =
          "\(format.system):\(format.name) has no field \(name) in this recording; "
          + "its events are counted and not used"
        return nil
      }
      guard let number = NumberField(field, isSwapped: format.isBigEndian) else {
        complaint =
          "field \(name) of \(format.system):\(format.name) is not a number (\(field.size) bytes "
          + "at offset \(field.offset)); its events are counted and not used"
        return nil
      }
      fields[index] = number
    }
  }

  /// False when the record is shorter than its format.
  @inline(__always)
  package func read(_ raw: RawSpan, into event: inout Event) -> Bool {
    if kind == .function {
      guard let address = fields[0].read(raw) else { return false }
      event.hit = ProbeHit(traced: address)
      event.occurrence = .probe
      return true
    }
    guard let occurrence = occurrence(raw) else { return false }
    event.occurrence = occurrence
    return true
  }

  @inline(__always)
  private func occurrence(_ raw: RawSpan) -> Event.Occurrence? {
    guard let first = fields[0].read(raw) else { return nil }
    switch kind {
    case .entry: return .entry(pc: first)
    case .exit:
      guard let ec = fields[1].read(raw), let pc = fields[2].read(raw) else { return nil }
      return .exit(
        ret: Int32(truncatingIfNeeded: first), ec: UInt32(truncatingIfNeeded: ec), pc: pc)
    case .handleSysReg: return .handleSysReg(esr: first)
    case .sysAccess: return sysAccess(raw, pc: first)
    case .userspaceExit:
      guard let errno = fields[1].int32(raw) else { return nil }
      return .userspaceExit(reason: UInt32(truncatingIfNeeded: first), errno: errno)
    case .setupDebug: return .setupDebug(vcpu: first)
    case .function: return .probe
    case .vcpuNumber: return .vcpuNumber(Int32(truncatingIfNeeded: first))
    case .nestedEret:
      guard let spsr = fields[1].read(raw), let hcr = fields[2].read(raw) else { return nil }
      return .nestedEret(vcpu: first, spsr: spsr, hcr: hcr)
    case .nestedException: return .nestedException(vcpu: first)
    case .schedSwitch:
      guard let state = fields[1].read(raw), let next = fields[2].int32(raw) else { return nil }
      return .schedSwitch(
        prev: Int32(truncatingIfNeeded: first), prevState: Int64(bitPattern: state), next: next)
    case .migrateTask:
      guard let from = fields[1].int32(raw), let to = fields[2].int32(raw) else { return nil }
      return .migrateTask(tid: Int32(truncatingIfNeeded: first), from: from, to: to)
    }
  }

  private func sysAccess(_ raw: RawSpan, pc: UInt64) -> Event.Occurrence? {
    guard let isWrite = fields[1].read(raw), let op0 = fields[2].read(raw),
      let op1 = fields[3].read(raw), let crn = fields[4].read(raw),
      let crm = fields[5].read(raw), let op2 = fields[6].read(raw)
    else { return nil }
    let register = SystemRegister(
      op0: UInt8(truncatingIfNeeded: op0), op1: UInt8(truncatingIfNeeded: op1),
      crn: UInt8(truncatingIfNeeded: crn), crm: UInt8(truncatingIfNeeded: crm),
      op2: UInt8(truncatingIfNeeded: op2))
    return .sysAccess(register, isWrite: isWrite != 0, pc: pc)
  }
}
