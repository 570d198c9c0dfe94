import Bytes

/// The tracepoints that the analysis has a use for, and how their lines are read: as the kernel
/// prints them (arch/arm64/kvm/trace_arm.h, trace_handle_exit.h, trace/events/kvm.h and sched.h), as
/// libtraceevent's plugins do, or field by field (trace-cmd report -R, the trace option `fields`,
/// and what libtraceevent cannot format).
package enum TextEventKind: String, BitwiseCopyable {
  case entry = "kvm_entry"
  case exit = "kvm_exit"
  case handleSysReg = "kvm_handle_sys_reg"
  case sysAccess = "kvm_sys_access"
  case userspaceExit = "kvm_userspace_exit"
  case setupDebug = "kvm_arm_setup_debug"
  case haltPoll = "kvm_halt_poll_ns"
  case timerMap = "kvm_get_timer_map"
  case schedSwitch = "sched_switch"
  case migrateTask = "sched_migrate_task"
  case function = "function"
  case graphEntry = "funcgraph_entry"

  var system: String {
    switch self {
    case .schedSwitch, .migrateTask: "sched"
    case .function, .graphEntry: "ftrace"
    default: "kvm"
    }
  }

  /// nil for all others. `system`: nil if the text does not name it.
  init?(name: String, system: String?) {
    guard let kind = TextEventKind(rawValue: name), system == nil || system == kind.system else {
      return nil
    }
    self = kind
  }

  /// Decodes what happened in `line`, whose values start at `values`; false when they are not what the event
  /// prints.
  package func read(_ line: RawSpan, _ values: Int, into event: inout Event) -> Bool {
    let hit: ProbeHit?
    switch self {
    case .function: hit = Self.function(line, values, Self.ip)
    case .graphEntry:
      hit = Self.function(
        line, line.position(behind: Self.bar, from: values) ?? values, Self.funcField)
    default:
      guard let occurrence = occurrence(line, values) else { return false }
      event.occurrence = occurrence
      return true
    }
    guard let hit else { return false }
    event.occurrence = .probe
    event.hit = hit
    return true
  }

  /// What happened; nil for lines of the function tracers.
  private func occurrence(_ line: RawSpan, _ values: Int) -> Event.Occurrence? {
    switch self {
    case .entry: Self.entry(line, values)
    case .exit: Self.exit(line, values)
    case .handleSysReg: Self.handleSysReg(line, values)
    case .sysAccess: Self.sysAccess(line, values)
    case .userspaceExit: Self.userspaceExit(line, values)
    case .setupDebug:
      (line.hexadecimal(behind: Self.vcpuLabel, from: values)
        ?? line.value(of: Self.vcpuField, from: values)).map(Event.Occurrence.setupDebug)
    case .haltPoll:
      Self.number(
        line.value(of: Self.vcpuID, from: values) ?? line.value(of: Self.vcpuWord, from: values))
    case .timerMap:
      Self.number(
        line.value(of: Self.vcpuID, from: values)
          ?? line.value(of: Self.vcpuCapitals, from: values))
    case .schedSwitch: SchedText.schedSwitch(line, values)
    case .migrateTask: SchedText.migrateTask(line, values)
    case .function, .graphEntry: nil
    }
  }

  private static let ip: TextPattern = "ip="
  private static let funcField: TextPattern = "func="
  private static let bar: TextPattern = "|"

  /// "kvm_arch_vcpu_put <-- vcpu_put" or "+ 89.024 us  |  kvm_arch_vcpu_load();" of trace-cmd report; its raw
  /// fields have the address.
  private static func function(
    _ line: RawSpan, _ start: Int, _ field: TextPattern
  ) -> ProbeHit? {
    var position = start
    line.skipBlanks(&position)
    if line.starts(with: field, at: position) {
      return line.hexadecimal(behind: field, from: position).map { ProbeHit(traced: $0) }
    }
    var end = position
    while let byte = line.u8(at: end), Character8.isWord(byte) || byte == Character8.dot {
      end &+= 1
    }
    guard end > position else { return nil }
    return ProbeHit(traced: line.string(position, end))
  }

  private static func number(_ value: UInt64?) -> Event.Occurrence? {
    value.map { .vcpuNumber(Int32(truncatingIfNeeded: $0)) }
  }

  private static let vcpuLabel: TextPattern = "vcpu: "
  private static let vcpuField: TextPattern = "vcpu="
  private static let vcpuID: TextPattern = "vcpu_id="
  private static let vcpuWord: TextPattern = "vcpu "
  private static let vcpuCapitals: TextPattern = "VCPU: "
  private static let pc: TextPattern = "PC: "
  private static let pcField: TextPattern = "vcpu_pc="
  private static let hsrClass: TextPattern = "HSR_EC: "
  private static let esrClass: TextPattern = "ESR_EC: "
  private static let ret: TextPattern = "ret="
  private static let ec: TextPattern = "esr_ec="
  private static let hsr: TextPattern = "HSR "
  private static let esr: TextPattern = "ESR "
  private static let hsrField: TextPattern = "hsr="
  private static let esrField: TextPattern = "esr="

  /// "PC: 0x0000000040000000".
  private static func entry(_ line: RawSpan, _ values: Int) -> Event.Occurrence? {
    (line.hexadecimal(behind: pc, from: values) ?? line.value(of: pcField, from: values)).map {
      .entry(pc: $0)
    }
  }

  /// "TRAP: HSR_EC: 0x0009 (PAC), PC: 0x0000000040000100"; libtraceevent's plugin, made for x86,
  /// complains before it.
  private static func exit(_ line: RawSpan, _ values: Int) -> Event.Occurrence? {
    if let place = line.position(behind: hsrClass, from: values)
      ?? line.position(behind: esrClass, from: values)
    {
      var position = place
      guard let ec = line.number(&position),
        let pc = line.hexadecimal(behind: pc, from: position),
        let ret = exceptionCode(line, before: place &- hsrClass.bytes.count, from: values)
      else { return nil }
      return .exit(ret: ret, ec: UInt32(truncatingIfNeeded: ec), pc: pc)
    }
    guard let code = line.value(of: ret, from: values), let ec = line.value(of: ec, from: values),
      let pc = line.value(of: pcField, from: values)
    else { return nil }
    return .exit(
      ret: Int32(truncatingIfNeeded: code), ec: UInt32(truncatingIfNeeded: ec), pc: pc)
  }

  /// Names of ARM_EXCEPTION_CODE (kvm_arm_exception_type, arch/arm64/include/asm/kvm_asm.h), as
  /// kernels have printed them.
  private static let exceptions: [(TextPattern, Int32)] = [
    ("IRQ", 0), ("SERROR", 1), ("EL1_SERROR", 1), ("TRAP", 2), ("IL", 3), ("HYP_GONE", 0x0bad_ca11),
  ]

  /// The word before ": " that ends at `end`; codes without a name are printed as numbers.
  private static func exceptionCode(_ line: RawSpan, before end: Int, from values: Int) -> Int32? {
    let end = end &- 2
    guard line.u8(at: end) == Character8.colon else { return nil }
    var start = end
    while start > values, let byte = line.u8(at: start &- 1), Character8.isWord(byte) {
      start &-= 1
    }
    for (name, code) in exceptions
    where end &- start == name.bytes.count && line.starts(with: name, at: start) { return code }
    var position = start
    guard let code = line.number(&position), position == end else { return nil }
    return Int32(truncatingIfNeeded: code)
  }

  /// "HSR 0x62300822".
  private static func handleSysReg(_ line: RawSpan, _ values: Int) -> Event.Occurrence? {
    (line.hexadecimal(behind: hsr, from: values) ?? line.hexadecimal(behind: esr, from: values)
      ?? line.value(of: hsrField, from: values) ?? line.value(of: esrField, from: values)).map {
        .handleSysReg(esr: $0)
      }
  }
}

extension RawSpan {
  /// The number behind `name`, wherever that stands as a word: "vcpu_id=3", "vcpu 3".
  func value(of name: TextPattern, from start: Int) -> UInt64? {
    var from = start
    while let behind = position(behind: name, from: from) {
      let place = behind &- name.bytes.count
      var position = behind
      if place <= start || !Character8.isWord(u8(at: place &- 1) ?? 0),
        let number = number(&position)
      {
        return number
      }
      from = behind
    }
    return nil
  }

  /// The hexadecimal number behind `name`, with 0x or without.
  func hexadecimal(behind name: TextPattern, from start: Int) -> UInt64? {
    guard var position = position(behind: name, from: start) else { return nil }
    if u8(at: position) == Character8.zero, u8(at: position &+ 1) == 120 { position &+= 2 }
    return hexadecimal(&position)
  }
}
