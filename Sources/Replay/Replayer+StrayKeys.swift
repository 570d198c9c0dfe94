import Ptrauth
import Trace

/// Registers of the host's slots that hold what no key of the host is. Keys are random (get_random_bytes in
/// ptrauth_keys_init_user and ptrauth_prctl_reset_keys, arch/arm64/include/asm/pointer_auth.h), so that no two are the
/// same; only ptrace writes others (PTRACE_SETREGSET, with CONFIG_CHECKPOINT_RESTORE).
enum StrayKeys {
  /// What a vCPU reset leaves in the guest's.
  case guests(RegisterSet)
  /// One value in several.
  case same(RegisterSet)

  init?(_ host: KeySlots) {
    let reset = RegisterSet(rawValue: host.resetMask)
    if !reset.isEmpty {
      self = .guests(reset)
      return
    }
    var same: RegisterSet = []
    for a in 0..<9 where host.isRandom(a) {
      for b in (a + 1)..<10 where host.isSame(a, as: host, at: b) {
        same.formUnion(RegisterSet(rawValue: 1 << UInt16(a) | 1 << UInt16(b)))
      }
    }
    guard !same.isEmpty else { return nil }
    self = .same(same)
  }

  fileprivate var statement: String {
    switch self {
    case .guests(let registers):
      "the host slots hold what a vCPU reset leaves in a guest's keys (\(words(registers.registers))): the host ran on "
        + "a guest's keys when it saved its own"
    case .same(let registers):
      "the host slots hold one value in several registers (\(words(registers.registers))), and the host's keys are "
        + "random: guest exit restored, or a save stored, one key in the place of others (partial-key-set)"
    }
  }
}

extension Replayer {
  /// The host's slots behind an exit, if they are others than before.
  mutating func judgeStrayKeys(
    _ index: Int, _ thread: ThreadRecord, _ at: Moment, _ function: KernelFunction,
    _ slots: KeySlots
  ) {
    guard let stray = StrayKeys(slots), let run = thread.run, let exit = run.exit else { return }
    if case .guests(let registers) = stray, !provesNoSave(registers.registers) { return }
    let identity = vcpus[index].identity
    log.add(.missedHostRestore, .suspected, vcpu: identity, at: run.enter) {
      (
        stray.statement,
        [
          Evidence(run.enter, "kvm_entry", "shadow \(words(run.entrySample ?? .unknown))"),
          Evidence(exit, "kvm_exit", words(ret: run.ret, ec: run.ec)),
          Evidence(
            at, function.rawValue, "the host's slots, which that save wrote or an earlier one"),
        ]
      )
    }
    emit?(.finding(.missedHostRestore, .suspected, identity, run.enter))
  }
}
