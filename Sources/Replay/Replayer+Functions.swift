import Observation
import Ptrauth
import Trace

// Records of the function tracer: a function was entered, and nothing is known of its arguments.
//
// From 5.16 to 6.9 a ptrauth trap of a vCPU with the feature is handled in kvm_hyp_handle_ptrauth, inside the
// run, and no other event shows it. The trap proves that the bits were 0; that the guest went on afterwards proves
// that the handler set them, and so that the vCPU has the feature:
//
//     load     run         run: kvm_entry ─ kvm_hyp_handle_ptrauth ─ kvm_exit IRQ     run      put
//     │◀────────────── 0 ──────────────────▶│◀──────────────── 1 ──────────────────────────────▶│
extension Replayer {
  mutating func traced(_ event: borrowing Event, _ at: Moment, _ pid: Int32) {
    guard let function = functions.traced(of: event) else { return }
    switch function {
    // Where the function is probed too, this is the same call once more.
    case .vcpuLoad where loadsAreTraced || !capabilities.hasLoadProbe:
      takeTracedLoads()
      probesHit.insert(function)
      guard let index = threads[at.tid]?.vcpu else {
        thread(at.tid, pid).pendingLoad = at
        return
      }
      load(index, at, pid, isImplied: false)
    case .vcpuPut where loadsAreTraced:
      probesHit.insert(function)
      threads[at.tid]?.pendingLoad = nil
      if let index = threads[at.tid]?.vcpu { put(index, at, isImplied: false) }
    case .hypHandlePtrauth:
      probesHit.insert(function)
      guard generation?.trap == .handledAtHyp, let run = threads[at.tid]?.run, run.exit == nil,
        run.cpu == at.cpu
      else { return }
      threads[at.tid]?.run?.hypTraps += 1
      follow(run.vcpu, .trappedAtHyp, at)
    default: break
    }
  }

  /// The trap was answered by the handler at EL2, not by the host: the guest went on.
  private func wasEnabledAtHyp(_ run: OpenRun) -> Bool {
    guard run.hypTraps == 1, run.exit != nil, run.trap == nil, !vcpus[run.vcpu].isNested else {
      return false
    }
    switch (run.ret, run.ec) {
    case (0, _): return true
    case (2, ExceptionClass.pointerAuth.rawValue): return false
    // Unless another register is named, the exit may be the very trap.
    case (2, ExceptionClass.systemRegister.rawValue):
      return run.isOtherRegister || run.esr.map { KeyRegisterAccess(esr: $0) == nil } ?? false
    case (2, _): return true
    default: return false
    }
  }

  /// What the run's traps at EL2 say of the vCPU.
  mutating func followHypTrap(_ run: OpenRun) {
    guard wasEnabledAtHyp(run), !run.isOver else { return }
    if vcpus[run.vcpu].state.feature == .unknown { vcpus[run.vcpu].state.feature = .both }
    if seesLoads { vcpus[run.vcpu].isEnabledAtHyp = true }
  }

  /// What they say of its bits, where no sample does.
  func applyFunctions(_ run: OpenRun, _ atEntry: inout KnownBits, _ atExit: inout KnownBits) {
    guard generation?.trap == .handledAtHyp else { return }
    if run.hypTraps > 0 {
      if !atEntry.bits.isKnown { atEntry = KnownBits(.clear, .implied) }
      if !atExit.bits.isKnown, wasEnabledAtHyp(run) { atExit = KnownBits(.set, .implied) }
    } else if run.startsEnabled, run.trap == nil {
      if !atEntry.bits.isKnown { atEntry = KnownBits(.set, .implied) }
      if !atExit.bits.isKnown, run.exit != nil { atExit = KnownBits(.set, .implied) }
    }
  }
}
