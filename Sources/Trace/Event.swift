/// One decoded event of a recording, in the time order of the recording's clock.
public struct Event: Sendable, BitwiseCopyable {
  /// Nanoseconds in the recording's own clock (see ``Recording/clock``).
  public var time: UInt64
  /// The pCPU the event was recorded on.
  public var cpu: Int32
  /// Process id (tgid) of the task that was current, -1 when the recording does not carry it.
  public var pid: Int32
  /// Thread id of the task that was current, -1 when the recording does not carry it.
  public var tid: Int32
  /// ``payload`` but for what a probe fetched, which lies in ``hit``: that is large, and read where it lies.
  package var occurrence = Occurrence.lost(count: 0)
  /// Of a probe; of other events whatever was there before.
  package var hit = ProbeHit(address: 0, isReturn: false, fields: ProbeFields())

  public init(time: UInt64, cpu: Int32, pid: Int32, tid: Int32, payload: Payload) {
    self.init(time: time, cpu: cpu, pid: pid, tid: tid)
    self.payload = payload
  }

  /// Nothing yet: to be decoded into.
  package init(time: UInt64 = 0, cpu: Int32 = -1, pid: Int32 = -1, tid: Int32 = -1) {
    self.time = time
    self.cpu = cpu
    self.pid = pid
    self.tid = tid
  }

  /// Becomes the other, but for what no payload shows: what of it is not there is not written.
  @inline(__always)
  mutating func take(_ other: borrowing Event) {
    time = other.time
    cpu = other.cpu
    pid = other.pid
    tid = other.tid
    occurrence = other.occurrence
    if case .probe = other.occurrence { hit.take(other.hit) }
  }

  /// What happened. Field meanings follow the kernel's trace_arm.h, trace_handle_exit.h and
  /// sched.h; values come from the recording's own format descriptions.
  public enum Payload: Sendable, BitwiseCopyable {
    /// kvm:kvm_entry.
    case entry(pc: UInt64)
    /// kvm:kvm_exit. `ret` is ARM_EXCEPTION_CODE (0 IRQ, 1 SERROR, 2 TRAP ...); `ec` is ESR_ELx.EC,
    /// valid only with TRAP (the kernel records 0 otherwise).
    case exit(ret: Int32, ec: UInt32, pc: UInt64)
    /// kvm:kvm_handle_sys_reg, with the whole ESR_EL2.
    case handleSysReg(esr: UInt64)
    /// kvm:kvm_sys_access.
    case sysAccess(SystemRegister, isWrite: Bool, pc: UInt64)
    /// kvm:kvm_userspace_exit: KVM_RUN is about to return to EL0.
    case userspaceExit(reason: UInt32, errno: Int32)
    /// kvm:kvm_arm_setup_debug, up to 6.12: `vcpu` is a kernel pointer, or (in the kernel's own
    /// text) the 32-bit hash of one.
    case setupDebug(vcpu: UInt64)
    /// An event in the vCPU thread's own context that names the vCPU by number:
    /// kvm_halt_poll_ns, kvm_get_timer_map.
    case vcpuNumber(Int32)
    /// kvm:kvm_nested_eret: a guest hypervisor returns. `hcr` is HCR_EL2 as it wrote it, `spsr` the
    /// state it returns to.
    case nestedEret(vcpu: UInt64, spsr: UInt64, hcr: UInt64)
    /// kvm:kvm_inject_nested_exception: the guest hypervisor is entered.
    case nestedException(vcpu: UInt64)
    /// sched:sched_switch. Recorded before the switch, in the context of `prev`.
    case schedSwitch(prev: Int32, prevState: Int64, next: Int32)
    /// sched:sched_migrate_task.
    case migrateTask(tid: Int32, from: Int32, to: Int32)
    /// A thread was created while recording (PERF_RECORD_FORK; not the synthesised ones that
    /// describe threads that were there before). A new process has `child == childPid`.
    case fork(child: Int32, childPid: Int32)
    /// A kprobe or kretprobe event, not yet named: its address decides what it is.
    case probe(ProbeHit)
    /// `count` events of this pCPU were lost between the previous event of the pCPU and this
    /// time (PERF_RECORD_LOST and its kin). 0: how many is not said, or those of an earlier loss of
    /// this pCPU may have been here instead.
    case lost(count: UInt64)
  }
}

/// Encoding of an AArch64 system register, as in ESR_EL2.ISS of EC 0x18.
public struct SystemRegister: Sendable, Hashable, BitwiseCopyable {
  public var op0, op1, crn, crm, op2: UInt8

  public init(op0: UInt8, op1: UInt8, crn: UInt8, crm: UInt8, op2: UInt8) {
    self.op0 = op0
    self.op1 = op1
    self.crn = crn
    self.crm = crm
    self.op2 = op2
  }
}
