import Ptrauth

/// A guest's write of a key register that trapped, and will be retried. One of each register is followed.
struct GuestKeyWrite {
  var register: KeyRegister
  /// Guest address of the MSR.
  var pc: UInt64
  var trap: Moment
  /// It cannot have read the reset value before: it never ran with ptrauth enabled since the reset.
  var isFirstUse: Bool
  /// An entry went back to it.
  var isResumed = false
  /// The entry that went back to it with ptrauth enabled.
  var retry: Moment?
  /// Exits since then, elsewhere, at which the slot still held its reset value.
  var unchangedExits = 0
}

// A guest's own write of a key register trapped, was retried with ptrauth enabled, and the slot still holds what the
// reset left there: guest exit did not save it. But an interrupt may be taken in the guest before the retried
// instruction, and its handler may exit too:
//
//     trap at P    enter at P   vIRQ ── handler ── exit ── exit ── back to P: MSR    exit
//     slot: reset                                  reset   reset                     saved
//
// So it is proved only where the guest went straight on from P. A WFI, which no handler executes, may be that of another
// task to which the interrupt led; and a handler that prints makes an exit for each character. Both leave it suspected.
private enum Progress {
  case straight
  case waits
  case manyExits

  /// What else may have been.
  var doubt: String {
    switch self {
    case .straight: ""
    case .waits: "; or an interrupt before it led to another task of the guest, which waits"
    case .manyExits: "; or all exits since were those of an interrupt's handler"
    }
  }
}

extension Replayer {
  /// Exits whose PC is at most so far behind the MSR's went straight on.
  static let straight: UInt64 = 64
  private static let manyExits = 16

  mutating func followGuestWrites(_ run: OpenRun) {
    let index = run.vcpu
    guard let exit = run.exit, let slots = run.resetSlots else { return }
    if !vcpus[index].writes.isEmpty {
      // Whoever trapped goes on from there, unless userspace set the guest up anew.
      vcpus[index].writes.removeAll {
        slots & $0.bit == 0 || !$0.isResumed && run.entryPC != $0.pc
      }
      for i in vcpus[index].writes.indices.reversed() {
        if let progress = progress(from: &vcpus[index].writes[i], run) {
          report(vcpus[index].writes.remove(at: i), progress, index, exit)
        }
      }
    }
    guard case .register(let access) = run.trap, access.isWrite,
      vcpus[index].state.feature == .both
    else { return }
    let write = GuestKeyWrite(
      register: access.register, pc: run.exitPC, trap: exit, isFirstUse: vcpus[index].isUnused)
    guard slots & write.bit != 0 else { return }
    if let i = vcpus[index].writes.firstIndex(where: { $0.register == access.register }) {
      // Perhaps the same once more: what was counted stays.
      vcpus[index].writes[i].pc = write.pc
      vcpus[index].writes[i].isResumed = false
    } else {
      vcpus[index].writes.append(write)
    }
  }

  private func progress(from write: inout GuestKeyWrite, _ run: OpenRun) -> Progress? {
    write.isResumed = true
    guard run.entrySample?.apk == .set, run.trap == nil, run.certainlyEntered else { return nil }
    if write.retry == nil, run.entryPC == write.pc { write.retry = run.enter }
    guard write.retry != nil, run.exitPC != write.pc else { return nil }
    write.unchangedExits += 1
    if run.exitPC > write.pc, run.exitPC - write.pc <= Self.straight { return .straight }
    if write.unchangedExits >= Self.manyExits { return .manyExits }
    return run.ec == ExceptionClass.waitForInterrupt.rawValue ? .waits : nil
  }

  private mutating func report(
    _ write: GuestKeyWrite, _ progress: Progress, _ index: Int, _ exit: Moment
  ) {
    let identity = vcpus[index].identity
    // Of a guest exit that saves its other registers the retry is on trial as well: kvm_entry tells the PC before KVM
    // steps over a trapped instruction (__kvm_adjust_pc, 5.11 on).
    let savesOthers = !vcpus[index].savedRegisters.isEmpty
    let level: Finding.Level =
      write.isFirstUse && progress == .straight && !savesOthers ? .proved : .suspected
    log.add(.missedGuestSave, level, vcpu: identity, at: exit) {
      (
        "the guest's write of \(write.register.name) was retried and run; its slot still holds the value of "
          + "the vCPU reset"
          + (write.isFirstUse
            ? "" : " (unless it wrote that value, which it may have read before)")
          + (savesOthers
            ? "; or its trap was answered by stepping over it: other slots are saved" : "")
          + progress.doubt,
        [
          Evidence(write.trap, "kvm_exit", "trapped write of \(write.register.name)"),
          Evidence(write.retry ?? write.trap, "kvm_entry", "retried with shadow \(words(.set))"),
          Evidence(
            exit, "kvm_exit",
            progress == .manyExits
              ? "the exit number \(write.unchangedExits) since" : "the guest has gone on"),
          Evidence(exit, "the probe after it", "\(write.register.name) slot unchanged"),
        ]
      )
    }
    emit?(.finding(.missedGuestSave, level, identity, exit))
  }
}

extension GuestKeyWrite {
  /// Of its register, in ``KeySlots/resetMask``.
  fileprivate var bit: UInt16 { 1 << UInt16(register.rawValue) }
}
