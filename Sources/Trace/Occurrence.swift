extension Event {
  /// What happened, without what a probe fetched: the cases of ``Payload``.
  package enum Occurrence: Sendable, BitwiseCopyable {
    case entry(pc: UInt64)
    case exit(ret: Int32, ec: UInt32, pc: UInt64)
    case handleSysReg(esr: UInt64)
    case sysAccess(SystemRegister, isWrite: Bool, pc: UInt64)
    case userspaceExit(reason: UInt32, errno: Int32)
    case setupDebug(vcpu: UInt64)
    case vcpuNumber(Int32)
    case nestedEret(vcpu: UInt64, spsr: UInt64, hcr: UInt64)
    case nestedException(vcpu: UInt64)
    case schedSwitch(prev: Int32, prevState: Int64, next: Int32)
    case migrateTask(tid: Int32, from: Int32, to: Int32)
    case fork(child: Int32, childPid: Int32)
    case lost(count: UInt64)
    /// See ``Event/hit``.
    case probe
  }

  public var payload: Payload {
    get {
      switch occurrence {
      case .entry(let pc):
        .entry(pc: pc)
      case .exit(let ret, let ec, let pc):
        .exit(ret: ret, ec: ec, pc: pc)
      case .handleSysReg(let esr):
        .handleSysReg(esr: esr)
      case .sysAccess(let value, let isWrite, let pc):
        .sysAccess(value, isWrite: isWrite, pc: pc)
      case .userspaceExit(let reason, let errno):
        .userspaceExit(reason: reason, errno: errno)
      case .setupDebug(let vcpu):
        .setupDebug(vcpu: vcpu)
      case .vcpuNumber(let value):
        .vcpuNumber(value)
      case .nestedEret(let vcpu, let spsr, let hcr):
        .nestedEret(vcpu: vcpu, spsr: spsr, hcr: hcr)
      case .nestedException(let vcpu):
        .nestedException(vcpu: vcpu)
      case .schedSwitch(let prev, let prevState, let next):
        .schedSwitch(prev: prev, prevState: prevState, next: next)
      case .migrateTask(let tid, let from, let to):
        .migrateTask(tid: tid, from: from, to: to)
      case .fork(let child, let childPid):
        .fork(child: child, childPid: childPid)
      case .lost(let count):
        .lost(count: count)
      case .probe: .probe(hit)
      }
    }
    set {
      switch newValue {
      case .entry(let pc):
        occurrence = .entry(pc: pc)
      case .exit(let ret, let ec, let pc):
        occurrence = .exit(ret: ret, ec: ec, pc: pc)
      case .handleSysReg(let esr):
        occurrence = .handleSysReg(esr: esr)
      case .sysAccess(let value, let isWrite, let pc):
        occurrence = .sysAccess(value, isWrite: isWrite, pc: pc)
      case .userspaceExit(let reason, let errno):
        occurrence = .userspaceExit(reason: reason, errno: errno)
      case .setupDebug(let vcpu):
        occurrence = .setupDebug(vcpu: vcpu)
      case .vcpuNumber(let value):
        occurrence = .vcpuNumber(value)
      case .nestedEret(let vcpu, let spsr, let hcr):
        occurrence = .nestedEret(vcpu: vcpu, spsr: spsr, hcr: hcr)
      case .nestedException(let vcpu):
        occurrence = .nestedException(vcpu: vcpu)
      case .schedSwitch(let prev, let prevState, let next):
        occurrence = .schedSwitch(prev: prev, prevState: prevState, next: next)
      case .migrateTask(let tid, let from, let to):
        occurrence = .migrateTask(tid: tid, from: from, to: to)
      case .fork(let child, let childPid):
        occurrence = .fork(child: child, childPid: childPid)
      case .lost(let count):
        occurrence = .lost(count: count)
      case .probe(let hit):
        occurrence = .probe
        self.hit = hit
      }
    }
  }
}
