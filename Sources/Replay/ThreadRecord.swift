import Ptrauth
import Trace

/// What the replay keeps of one thread. A class: events change a field or two of it, several million
/// times a second.
final class ThreadRecord: ReplayRecord {
  var isReached = false
  var pid: Int32
  /// Index of the vCPU the thread runs or last ran.
  var vcpu: Int?
  /// The shadow sampled since the last run: what the next run enters with.
  var sampleBeforeEntry: EnableBits?
  var run: OpenRun?
  /// Between the first kvm_entry and kvm_userspace_exit; nil until known.
  var isInKVMRun: Bool?
  /// Switched out since the last run: a load lies in between if it was in KVM_RUN.
  var wasSwitchedOut = false
  /// Another task runs on its pCPU.
  var isSwitchedOut = false
  /// Since when, in ns, if no loss may hide that it came back.
  var outSince: UInt64?
  /// It was switched out while its vCPU was loaded, and no put was seen since.
  var leftLoaded = false
  /// kvm_arch_vcpu_load was traced before it was known to run a vCPU.
  var pendingLoad: Moment?
  /// The pCPU it belongs to, by its last event there or by sched_migrate_task; and whether it was
  /// seen there.
  var place: (cpu: Int32, wasSeen: Bool)?
  /// It was placed somewhere and not seen there, or seen where nothing placed it: events of a pCPU
  /// may be missing.
  var skippedAPlace = false
  /// Its last kvm_exit has no handle_exit yet.
  var awaitsHandler = Bit.unknown
  /// It is inside kvm_arm_vcpu_ptrauth_trap.
  var handler: OpenHandler?
  var hostKeys = HostKeyWatch()
  /// By the last probe since its kvm_exit.
  var fetched: FetchedSample?
  /// Its process was created within the recording, so its vCPUs were too.
  var isBornHere = false

  /// It existed by then, in nanoseconds of the recording's clock.
  let firstTime: UInt64

  init(pid: Int32, firstTime: UInt64) {
    self.pid = pid
    self.firstTime = firstTime
  }
}

/// A run between its kvm_entry and the moment everything about it is known.
struct OpenRun {
  var vcpu: Int
  var cpu: Int32
  var enter: Moment
  var entryPC: UInt64
  var entrySample: EnableBits?
  /// kvm_exit.
  var exit: Moment?
  var ret: Int32?
  var ec: UInt32?
  var exitPC: UInt64 = 0
  var exitSample: EnableBits?
  var steps = UnsaidRuns.Steps()
  /// `exitSample` was taken at kvm_vgic_sync_hwstate, before anything else could run.
  var exitIsAtSync = false
  /// A trap of its load interval was answered before it.
  var followsAnsweredTrap = false
  /// It begins with the instruction that trapped in the run before, no load in between.
  var isRetry = false
  /// ESR_EL2 of the exit, from handle_exit or kvm_handle_sys_reg.
  var esr: UInt64?
  var trap: PtrauthTrap?
  /// kvm_sys_access said that the trapped register is no key register.
  var isOtherRegister = false
  /// Its trap was answered with an UNDEF.
  var isRefused = false
  /// The handler was seen; otherwise it is taken to have run by the time the run is closed.
  var isAnswered = false
  /// Whose keys the host slots held after it, where that is known.
  var restored: RestoredKeys?
  /// The registers whose host's slots were saved before it as an enabled run before that had left them.
  var savedAsLeft: RegisterSet = []
  /// Its key slots were looked at.
  var isChecked = false
  /// The rules that look at it alone have.
  var isJudged = false
  /// Its passes are in the counters of its load interval.
  var isAccounted = false
  /// kvm_hyp_handle_ptrauth was entered so often within it.
  var hypTraps = 0
  /// A trap handled at EL2 set the bits in this load interval, before this run.
  var startsEnabled = false
  /// __kvm_vcpu_run was entered in it.
  var isInHyp = false
  /// A load came after the exit: later samples are not this run's.
  var isOver = false
  /// What the model expected the entry to find.
  var expected: EnableBits
  /// The load that it is the first run behind: what `expected` rests on.
  var load: LoadBehind?
  var windowStart: Moment?
  /// The guest's slots changed over it: guest exit saved them.
  var changedGuestSlots = false
  /// Its thread may have run unseen since the last run.
  var followsSkippedPlace = false
  /// Guest slots at the exit that still hold the reset value, by register index.
  var resetSlots: UInt16?

  init(vcpu: Int, cpu: Int32, enter: Moment, pc: UInt64, expected: EnableBits) {
    self.vcpu = vcpu
    self.cpu = cpu
    self.enter = enter
    entryPC = pc
    self.expected = expected
  }

  /// A trapped system register access of which no event says which register: it may be a key's.
  var mayBeKeyTrap: Bool {
    ec == ExceptionClass.systemRegister.rawValue && trap == nil && esr == nil && !isOtherRegister
  }

  /// It ended in what may be a ptrauth trap.
  var mayBeTrap: Bool {
    ec == ExceptionClass.pointerAuth.rawValue || ec == ExceptionClass.systemRegister.rawValue
  }

  /// The guest certainly ran. __guest_enter may return at once with a pending interrupt (IRQ), and
  /// the PC may move all the same: on the way in the kernel applies a pending increment, or a
  /// pending exception, whose vector is a multiple of 0x80 (Arm ARM, VBAR_EL1).
  var certainlyEntered: Bool {
    if ret == 2 || changedGuestSlots { return true }
    return exit != nil && exitPC != entryPC && exitPC &- entryPC > 4 && exitPC & 0x7f != 0
  }
}
