import Ptrauth
import Trace

/// Whether the probes fetched what they are named for. A wrong offset is no fault of the kernel.
///
/// Two probes in one exit of one thread see the same, for only a load or a save changes it:
///
///     kvm_exit ── handle_exit ── kvm_handle_ptrauth ── kvm_arm_vcpu_ptrauth_trap (saves)
///              └─ handle_exit ── kvm_arch_vcpu_put
///
/// A save that moved (preemptible-host-save) changes slots now and then; a wrong offset, often. Where they disagree,
/// nobody knows which is right.
struct FetchChecks {
  enum Field: CaseIterable {
    case hostContext, hostSlots, guestSlots

    var words: String {
      switch self {
      case .hostContext: "host_ctxt"
      case .hostSlots: "the host's key slots"
      case .guestSlots: "the guest's key slots"
      }
    }

    /// What rests on it.
    var rules: [Rule] {
      switch self {
      case .hostContext:
        [.staleHostContext, .missedHostSave, .missedHostRestore, .missedGuestRestore]
      case .hostSlots: [.missedHostSave, .missedHostRestore, .missedGuestRestore]
      case .guestSlots: [.missedGuestSave, .missedGuestRestore, .keysLostInMigration]
      }
    }
  }

  /// Two probes that fetch the same, and how often it was and was not.
  struct Pair {
    var field: Field
    var earlier: KernelFunction
    var later: KernelFunction
    var same: UInt64 = 0
    var different: UInt64 = 0

    /// So often that it is no race of the kernel's. (A wrong value may be the right one by chance: a constant context, where
    /// there are few pCPUs.)
    var disagrees: Bool { different > 2 && different > same / 4 }
  }

  private var pairs: [Pair] = []
  /// A value of HCR_EL2 of a guest was seen: HCR_EL2.VM is set in each (HCR_GUEST_FLAGS,
  /// arch/arm64/include/asm/kvm_arm.h).
  private(set) var hasShadow = false
  /// Values that are none, by where they were fetched.
  private(set) var noShadows: [KernelFunction: UInt64] = [:]

  mutating func note(
    _ field: Field, _ earlier: KernelFunction, _ later: KernelFunction, isSame: Bool
  ) {
    let place =
      pairs.firstIndex { $0.field == field && $0.earlier == earlier && $0.later == later }
      ?? pairs.endIndex
    if place == pairs.endIndex { pairs.append(Pair(field: field, earlier: earlier, later: later)) }
    if isSame { pairs[place].same += 1 } else { pairs[place].different += 1 }
  }

  /// handle_exit is given what kvm_exit said: as often as both were seen.
  private(set) var showsExits = Bit.unknown

  mutating func noteExit(isSame: Bool) {
    if !isSame { showsExits = .clear } else if showsExits == .unknown { showsExits = .set }
  }

  private static let vm: UInt64 = 1

  /// Whether the value is a guest's HCR_EL2, as far as this recording's others say.
  mutating func admits(hcr: UInt64, _ function: KernelFunction) -> Bool {
    if hcr & Self.vm != 0 {
      hasShadow = true
    } else if hasShadow {
      noShadows[function, default: 0] += 1
      return false
    }
    return true
  }

  var disagreements: [Pair] { pairs.filter(\.disagrees) }

  /// Rules that rest on what probes disagree about.
  var doubted: [Rule] {
    disagreements.flatMap(\.field.rules) + (noShadows.isEmpty ? [] : [.unexplained])
  }

  /// What is wrong, in words.
  var parts: [String] {
    disagreements.map {
      "\($0.field.words), of which \($0.earlier.rawValue) and \($0.later.rawValue) fetch different values (a wrong offset?)"
    }
      + noShadows.sorted { $0.key.rawValue < $1.key.rawValue }.map {
        "the shadow at \($0.key.rawValue), where hcr_el2 was no guest's, \($0.value)x (a wrong offset?)"
      }
  }
}

/// What a probe fetched, until something may have changed it.
struct FetchedSample {
  var vcpu: Int
  var function: KernelFunction
  var hostContext: UInt64?
  var hostSlots: KeySlots?
  var guestSlots: KeySlots?
}

extension Replayer {
  /// What handle_exit fetched, beside the kvm_exit that it follows.
  mutating func compareExit(_ run: OpenRun?, _ event: borrowing Event) {
    guard let run, run.exit != nil, !run.isOver, let ret = run.ret,
      let code = event.hit.fields.exitCode
    else { return }
    var isSame = code & .max == ret
    if isSame, let ec = run.ec, let esr = event.hit.fields.esr {
      isSame = ExceptionClass(esr: esr).rawValue == ec
    }
    fetchChecks.noteExit(isSame: isSame)
  }

  /// A probe between a thread's kvm_exit and what may change what it fetches.
  mutating func compareFetched(
    _ index: Int, _ thread: ThreadRecord, _ at: Moment, _ function: KernelFunction,
    _ event: borrowing Event
  ) {
    guard thread.run?.exit != nil, thread.run?.cpu == at.cpu else { return }
    // The handler of a trap may have saved since.
    let isBehindHandler =
      function == .vcpuPut && (thread.run?.trap != nil || thread.run?.mayBeKeyTrap == true)
    if let earlier = thread.fetched?.function, thread.fetched?.vcpu == index, !isBehindHandler {
      if let a = thread.fetched?.hostContext, let b = event.hit.fields.hostContext {
        fetchChecks.note(.hostContext, earlier, function, isSame: a == b)
      }
      if let a = thread.fetched?.hostSlots, let b = event.hit.fields.hostKeys {
        fetchChecks.note(.hostSlots, earlier, function, isSame: a == b)
      }
      if let a = thread.fetched?.guestSlots, let b = event.hit.fields.guestKeys {
        fetchChecks.note(.guestSlots, earlier, function, isSame: a == b)
      }
    }
    thread.fetched =
      function == .vcpuPut || function == .ptrauthTrap
      ? nil
      : FetchedSample(
        vcpu: index, function: function, hostContext: event.hit.fields.hostContext,
        hostSlots: event.hit.fields.hostKeys, guestSlots: event.hit.fields.guestKeys)
  }

  /// The shadow that a probe fetched; nil if it is none.
  mutating func shadow(_ index: Int, _ hcr: UInt64?, _ function: KernelFunction) -> EnableBits? {
    guard let hcr else { return nil }
    // Until KVM_ARM_VCPU_INIT, and in it, there is none.
    if function == .resetVCPU || vcpus[index].counters.runs == 0 { return EnableBits(hcr: hcr) }
    let hadShadow = fetchChecks.hasShadow
    guard fetchChecks.admits(hcr: hcr, function) else { return nil }
    if fetchChecks.hasShadow, !hadShadow {
      // What came before may have been none.
      for tid in threads.keys {
        threads[tid]?.sampleBeforeEntry = nil
        threads[tid]?.run?.entrySample = nil
      }
    }
    return EnableBits(hcr: hcr)
  }
}
