import Trace

/// Compares a payload with the text that perf prints for the same event.
enum Expectation {
  private static let delivered: Set<Substring> = [
    "kvm:kvm_entry", "kvm:kvm_exit", "kvm:kvm_handle_sys_reg", "kvm:kvm_sys_access",
    "kvm:kvm_userspace_exit", "kvm:kvm_arm_setup_debug", "kvm:kvm_halt_poll_ns",
    "kvm:kvm_get_timer_map", "sched:sched_switch", "sched:sched_migrate_task",
  ]

  /// The events of the recordings that are probes are all in one system.
  static func isDelivered(_ name: Substring) -> Bool {
    delivered.contains(name) || name.hasPrefix("ptrauth:")
  }

  static func matches(
    _ payload: Event.Payload, _ name: Substring, _ printed: Substring, _ probes: Set<String>
  ) -> Bool {
    // libtraceevent's plugin for KVM on x86 complains first (perf of Debian 13): "<CANT FIND FIELD rip>PC: 0x...".
    let complaint = printed.contains("CANT FIND FIELD") ? printed.lastIndex(of: ">") : nil
    let text = complaint.map { printed[printed.index(after: $0)...] } ?? printed
    let fields = Fields(text)
    switch payload {
    case .entry(let pc): return name == "kvm:kvm_entry" && fields["PC"] == pc
    case .exit(let ret, let ec, let pc):
      let reason = ["IRQ", "EL1_SERROR", "TRAP"]
      return name == "kvm:kvm_exit" && fields["PC"] == pc && fields["HSR_EC"] == UInt64(ec)
        && reason.indices.contains(Int(ret)) && text.hasPrefix(reason[Int(ret)])
    case .handleSysReg(let esr):
      return name == "kvm:kvm_handle_sys_reg"
        && Fields.value(text.dropFirst(4).prefix { $0 != " " }) == esr
    case .sysAccess(let register, let isWrite, let pc):
      // libtraceevent cannot parse its print format: perf prints the fields.
      return name == "kvm:kvm_sys_access" && fields["vcpu_pc"] == pc
        && fields["is_write"] == (isWrite ? 1 : 0) && fields["Op0"] == UInt64(register.op0)
        && fields["Op1"] == UInt64(register.op1) && fields["CRn"] == UInt64(register.crn)
        && fields["CRm"] == UInt64(register.crm) && fields["Op2"] == UInt64(register.op2)
    case .userspaceExit(let reason, let errno):
      // perf 6.1 takes the errno for unsigned and prints the reason in any case.
      return name == "kvm:kvm_userspace_exit" && text.contains("(\(reason))") && errno > -4096
    case .setupDebug(let vcpu):
      return name == "kvm:kvm_arm_setup_debug" && fields["vcpu"] == vcpu
    case .vcpuNumber(let number):
      if name == "kvm:kvm_get_timer_map" { return fields["VCPU"] == UInt64(number) }
      return name == "kvm:kvm_halt_poll_ns" && text.contains("vcpu \(number):")
    case .nestedEret(_, let spsr, let hcr):
      return name == "kvm:kvm_nested_eret" && fields["spsr_el2"] == spsr && fields["hcr_el2"] == hcr
    case .nestedException: return name == "kvm:kvm_inject_nested_exception"
    case .schedSwitch(let prev, _, let next):
      let tasks = SwitchText(text)
      return name == "sched:sched_switch" && tasks.prev == UInt64(prev)
        && tasks.next == UInt64(next)
    case .migrateTask(let tid, let from, let to):
      return name == "sched:sched_migrate_task" && fields["pid"] == UInt64(tid)
        && fields["orig_cpu"] == UInt64(from) && fields["dest_cpu"] == UInt64(to)
    case .probe(let hit): return probes.contains(String(name)) && matches(hit, text, fields)
    case .lost, .fork: return false
    }
  }

  private static func matches(_ hit: ProbeHit, _ text: Substring, _ fields: Fields) -> Bool {
    let address = Fields.number(text.drop { $0 == "(" }.prefix { $0.isHexDigit }, radix: 16)
    let isReturn = text.prefix { $0 != ")" }.contains("<-")
    guard hit.isReturn == isReturn, isReturn || hit.address == address else { return false }
    let guestKeys = KeySlots(fields, prefix: "")
    let hostKeys = KeySlots(fields, prefix: "host_")
    return hit.fields.vcpu == fields["vcpu"] && hit.fields.cpu.map(UInt64.init) == fields["cpu"]
      && hit.fields.vcpuID.map(UInt64.init) == fields["vcpu_id"]
      && hit.fields.hcr == fields["hcr_el2"] && hit.fields.features == fields["features"]
      && hit.fields.esr == fields["esr_el2"]
      && hit.fields.exitCode.map { UInt64(bitPattern: Int64($0)) } == fields["exit_code"]
      && hit.fields.cflags == fields["cflags"] && hit.fields.iflags == fields["iflags"]
      && hit.fields.sflags == fields["sflags"] && hit.fields.hostContext == fields["host_ctxt"]
      && hit.fields.guestKeys == guestKeys && hit.fields.hostKeys == hostKeys
  }
}

/// "name=value" and "name: value" of a line.
struct Fields {
  private var values: [Substring: UInt64] = [:]

  init(_ text: Substring) {
    var label: Substring?
    for word in text.utf8.split(whereSeparator: { $0 == 0x20 || $0 == 0x2c }) {
      if let mark = word.firstIndex(of: 0x3d) {
        set(Substring(word[..<mark]), Substring(word[word.index(after: mark)...]))
        label = nil
      } else if word.last == 0x3a {
        label = Substring(word.dropLast())
      } else if let name = label {
        set(name, Substring(word))
        label = nil
      }
    }
  }

  private mutating func set(_ name: Substring, _ value: Substring) {
    if values[name] == nil, let number = Self.value(value) { values[name] = number }
  }

  subscript(name: Substring) -> UInt64? { values[name] }

  static func value(_ text: Substring) -> UInt64? {
    if text.hasPrefix("0x") { return number(text.dropFirst(2), radix: 16) }
    if text.hasPrefix("-") { return Int64(text).map { UInt64(bitPattern: $0) } }
    return number(text, radix: 10)
  }

  static func number(_ text: Substring, radix: Int) -> UInt64? { UInt64(text, radix: radix) }
}

extension KeySlots {
  /// The ten registers in a line of perf script, nil when they are not there.
  init?(_ fields: Fields, prefix: String) {
    var registers = InlineArray<10, UInt64>(repeating: 0)
    for (index, key) in ["apia", "apib", "apda", "apdb", "apga"].enumerated() {
      for (half, suffix) in ["lo", "hi"].enumerated() {
        guard let value = fields["\(prefix)\(key)key\(suffix)_el1"] else { return nil }
        registers[index * 2 + half] = value
      }
    }
    self.init(registers: registers)
  }
}
