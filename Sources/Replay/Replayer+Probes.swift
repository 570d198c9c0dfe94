import Observation
import Ptrauth
import Trace

extension Replayer {
  /// A kprobe or kretprobe hit: its address (in some texts, its symbol) says which function it is.
  ///
  /// - Parameter current: the record of the thread, if it has one by now.
  mutating func probe(
    _ event: borrowing Event, _ at: Moment, _ pid: Int32, _ current: ThreadRecord?
  ) {
    if event.hit.isTraced { return traced(event, at, pid) }
    guard let function = functions.function(of: event) else {
      unresolvedProbes[event.hit.address, default: 0] += 1
      return
    }
    if event.hit.isReturn {
      returnsHit.insert(function)
      if function == .ptrauthTrap {
        if let current, let index = current.vcpu {
          implyLoad(index, current, at, pid)
          follow(index, .handlerReturned, at)
        }
        if let current { handlerReturned(current, at) }
      }
      return
    }
    probesHit.insert(function)
    guard let pointer = event.hit.fields.vcpu else { return }
    var pid = pid
    let process = function == .vcpuLoad ? vmProcesses.pid(event) : nil
    if let process { pid = process }
    let thread = current ?? self.thread(at.tid, pid)
    if process != nil { thread.pid = pid }
    if function == .vcpuLoad || function == .resetVCPU {
      noteNewLife(function, pid, pointer, event.hit.fields.features)
    }
    let index = bind(at, pid, thread, pointer: pointer, number: event.hit.fields.vcpuID, .probe)
    if function == .resetVCPU {
      (vcpus[index].features, vcpus[index].hasTwoFeatures) = (nil, false)
    }
    noteFeatures(index, event.hit.fields.features)
    let sample = shadow(index, event.hit.fields.hcr, function)
    if function.isOfLoaded { implyLoad(index, thread, at, pid) }
    switch function {
    case .vcpuLoad:
      // What a pass sampled that did not enter the guest is of before it.
      thread.sampleBeforeEntry = nil
      noteLoadInHandler(thread, at, sample)
      noteUnloadedChange(index, event)
      if !capabilities.hasLoadProbe { takeProbedLoads(index) }
      load(index, at, pid, isImplied: false, sample)
    case .vcpuPut:
      sampleAfterExit(index, thread, at, function, sample, event)
      put(index, at, isImplied: false, sample)
      vcpus[index].keysAtPut = event.hit.fields.guestKeys
    case .flush:
      if !capabilities.hasEntryAndExit || !endUnseen(index, thread, at) {
        closeRun(of: thread, at.tid)
      }
      thread.sampleBeforeEntry = sample
    case .vcpuRun: sampleAtEntry(index, thread, at, sample)
    case .sync: sampleAtSync(thread, at, sample)
    case .handleExit:
      noteHandledExit(index, thread, at, sample, event)
      noteOtherExit(index, event)
      if let esr = event.hit.fields.esr { thread.run?.esr = esr }
      follow(index, .look, at, sample)
      sampleAfterExit(index, thread, at, function, sample, event)
      if let esr = event.hit.fields.esr { classifyTrap(thread, at, esr: esr) }
    case .ptrauthTrap, .handlePtrauth:
      if capabilities.hasEntryAndExit { _ = endUnseen(index, thread, at) }
      follow(index, function == .ptrauthTrap ? .handlerEntered : .look, at, sample)
      if function == .ptrauthTrap, thread.run?.entrySample == .clear {
        noteUnloadedChange(index, event)
      }
      trapHandler(index, thread, at, function, event)
    case .injectUndefined:
      follow(index, .lookInHandler, at, sample)
      vcpus[index].counters.undefs += 1
      judgeRefusal(index, at)
    case .resetVCPU:
      // What the run left is of the guest before.
      if let runner = vcpus[index].runThread, threads[runner]?.run?.vcpu == index {
        closeRun(runner)
      }
      follow(index, .reset, at, sample)
      noteReset(index, at, event.hit.fields.features)
      // No handler is under way in it.
      vcpus[index].handlings.end(at.time)
      reset(index)
    case .hypHandlePtrauth: break
    }
    // At kvm_vgic_sync_hwstate guest exit has saved them: what the run began with is compared later.
    if let guest = event.hit.fields.guestKeys, function != .resetVCPU, function != .sync {
      let mayBeLeft = function == .vcpuPut && !capabilities.hasUserspaceExit
      vcpus[index].guestKeys = mayBeLeft ? nil : guest
      // At a load or a put user space may be writing them (ONE_REG), of which no event tells.
      let runs = vcpus[index].counters.runs
      vcpus[index].guestKeysRun =
        switch function {
        case .vcpuLoad, .vcpuPut: nil
        case .vcpuRun: runs &- 1
        default: runs
        }
    }
  }

  /// The exit that is handled is no ptrauth trap: no handler is under way, nor was at a load since that exit.
  private mutating func noteOtherExit(_ index: Int, _ event: borrowing Event) {
    guard vcpus[index].state.enableInFlight, isNoKeyTrap(event) else { return }
    vcpus[index].state.enableInFlight = false
    guard vcpus[index].load?.isTainted == true, generation?.load == .clears else { return }
    vcpus[index].load?.isTainted = false
    vcpus[index].interval.isTainted = false
    if vcpus[index].state.feature == .both { vcpus[index].state.bits = .clear }
  }

  /// What handle_exit is given says that the exit was no ptrauth trap, and it was right about others.
  func isNoKeyTrap(_ event: borrowing Event) -> Bool {
    guard fetchChecks.showsExits == .set else { return false }
    // ARM_EXCEPTION_CODE without the flag of an SError beside it (asm/kvm_asm.h).
    guard let code = event.hit.fields.exitCode, code & .max == 2 else {
      return event.hit.fields.exitCode != nil
    }
    return event.hit.fields.esr.map {
      ExceptionClass(esr: $0) != .pointerAuth && KeyRegisterAccess(esr: $0) == nil
    } ?? false
  }

  /// vcpu->arch.features, or the VM's, as vcpu_has_ptrauth() of the generation takes them.
  private mutating func noteFeatures(_ index: Int, _ features: UInt64?) {
    guard let features else { return }
    let before = vcpus[index].features
    if before == features, !vcpus[index].hasTwoFeatures, vcpus[index].state.feature != .unknown {
      return
    }
    vcpus[index].features = features
    // KVM refuses another set of features; a probe may fetch them from the wrong place.
    if let before, vcpus[index].counters.runs > 0,
      Feature(features: before) != Feature(features: features) || (before ^ features) >> 7 & 1 != 0
    {
      vcpus[index].hasTwoFeatures = true
      for rule in [Rule.featureDenied, .switchWithoutFeature, .unexplained] {
        undecided.note(rule, .twoFeatures)
      }
    }
    if vcpus[index].hasTwoFeatures {
      vcpus[index].state.feature = .unknown
      followFeature(index)
      return
    }
    let known = vcpus[index].state.feature
    defer { if vcpus[index].state.feature != known { followFeature(index) } }
    vcpus[index].state.feature =
      switch generation?.featureTest {
      case .never: .none
      case .hostAlone: .both
      case .bothBits, nil: Feature(features: features)
      }
    vcpus[index].isNested = features & (1 << 7) != 0
  }

  private mutating func reset(_ index: Int) {
    vcpus[index].counters.resets += 1
    vcpus[index].writes = []
    vcpus[index].isUnused = true
    vcpus[index].guestKeys = nil
    vcpus[index].keysAtPut = nil
    vcpus[index].keysAfterRun = nil
    vcpus[index].nestedBits = nil
    vcpus[index].isEnabledAtHyp = false
    vcpus[index].waste.handled = nil
    vcpus[index].waste.enabled = nil
    code?.reset(&vcpus[index].state)
  }
}
