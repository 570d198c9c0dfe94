import Bytes

// kvm_sys_access and kvm_userspace_exit.
extension TextEventKind {
  private static let pc: TextPattern = "PC: "
  private static let pcField: TextPattern = "vcpu_pc="
  private static let isWrite: TextPattern = "is_write="
  private static let encoding: [TextPattern] = ["Op0=", "Op1=", "CRn=", "CRm=", "Op2="]
  private static let open: TextPattern = " ("
  private static let write: TextPattern = "write"
  private static let read: TextPattern = "read"

  /// "PC: 400000d4 SYS_APIAKEYLO_EL1 (3,0,2,1,0) write", or the fields, which is all that
  /// libtraceevent manages.
  static func sysAccess(_ line: RawSpan, _ values: Int) -> Event.Occurrence? {
    var numbers = InlineArray<5, UInt8>(repeating: 0)
    if let pc = line.value(of: pcField, from: values) {
      guard let isWrite = line.value(of: isWrite, from: values) else { return nil }
      for index in 0..<5 {
        guard let number = line.value(of: encoding[index], from: values) else { return nil }
        numbers[index] = UInt8(truncatingIfNeeded: number)
      }
      return .sysAccess(register(numbers), isWrite: isWrite != 0, pc: pc)
    }
    guard let pc = line.hexadecimal(behind: pc, from: values),
      let list = line.lastPosition(of: open, before: line.byteCount)
    else { return nil }
    var position = list &+ open.bytes.count
    for index in 0..<5 {
      guard let number = line.decimal(&position),
        line.u8(at: position) == (index < 4 ? Character8.comma : Character8.closeParenthesis)
      else { return nil }
      numbers[index] = UInt8(truncatingIfNeeded: number)
      position &+= 1
    }
    line.skipBlanks(&position)
    if line.starts(with: write, at: position) {
      return .sysAccess(register(numbers), isWrite: true, pc: pc)
    }
    guard line.starts(with: read, at: position) else { return nil }
    return .sysAccess(register(numbers), isWrite: false, pc: pc)
  }

  private static func register(_ numbers: InlineArray<5, UInt8>) -> SystemRegister {
    SystemRegister(
      op0: numbers[0], op1: numbers[1], crn: numbers[2], crm: numbers[3], op2: numbers[4])
  }

  private static let reasonField: TextPattern = "reason="
  private static let errnoField: TextPattern = "errno="
  private static let restart: TextPattern = "reason restart "
  private static let failure: TextPattern = "reason error "
  private static let reasonWord: TextPattern = "reason "

  /// "reason KVM_EXIT_MMIO (6)"; "reason restart (4)" and "reason error (22)" have the negated errno
  /// in place of the reason, which is then not known and given as KVM_EXIT_UNKNOWN.
  static func userspaceExit(_ line: RawSpan, _ values: Int) -> Event.Occurrence? {
    if let reason = line.value(of: reasonField, from: values),
      let errno = line.value(of: errnoField, from: values)
    {
      return .userspaceExit(
        reason: UInt32(truncatingIfNeeded: reason), errno: Int32(truncatingIfNeeded: errno))
    }
    guard line.starts(with: reasonWord, at: values),
      let list = line.lastPosition(of: open, before: line.byteCount)
    else { return nil }
    var position = list &+ open.bytes.count
    guard let number = line.number(&position),
      line.u8(at: position) == Character8.closeParenthesis
    else { return nil }
    if line.starts(with: restart, at: values) || line.starts(with: failure, at: values) {
      return .userspaceExit(reason: 0, errno: 0 &- Int32(truncatingIfNeeded: number))
    }
    return .userspaceExit(reason: UInt32(truncatingIfNeeded: number), errno: 0)
  }
}
