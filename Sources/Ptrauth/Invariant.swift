/// What must hold whenever the key switch works. I1 to I8 are those of the patch's state machine; the
/// others are what a reader of the patch also takes for granted.
public enum Invariant: Int, Sendable, Hashable, CaseIterable {
  case hostSavedBeforeEntry = 1
  case exitRestoresHost
  case loadClears
  case bitsEqual
  case hostRunsOnItsKeys
  case featureGuards
  case guardsAgree
  case saveNotInterrupted
  case guestRunsOnItsKeys
  case hcrIsShadow
  case preemptionBalanced
  case enteredWhileLoaded
  case visibleWithFeature

  /// "I1".
  public var id: String { "I\(rawValue)" }

  public var words: String {
    switch self {
    case .hostSavedBeforeEntry:
      "at a switched guest enter the pCPU's host slots were saved since its last load, from the "
        + "current task's keys"
    case .exitRestoresHost:
      "after guest exit the registers hold the current task's keys, synchronised, and the "
        + "guest's slots what the guest had"
    case .loadClears: "after kvm_arch_vcpu_load API = APK = 0"
    case .bitsEqual: "API = APK; for a nested guest, each as its hypervisor wrote it"
    case .hostRunsOnItsKeys:
      "EL0, and a kernel that authenticates, runs on the keys of the current task"
    case .featureGuards: "without the feature API = APK = 0 and no pass switches keys"
    case .guardsAgree: "guest enter and guest exit of a pass decide alike"
    case .saveNotInterrupted:
      "between the trap handler's host save and the next entry the task is not switched out"
    case .guestRunsOnItsKeys: "a guest that uses pointer authentication finds its own keys"
    case .hcrIsShadow: "in the guest HCR_EL2.API and APK are those of the shadow"
    case .preemptionBalanced: "kvm_reset_vcpu leaves preemption as it found it"
    case .enteredWhileLoaded: "every kvm_entry lies in a load interval of its vCPU"
    case .visibleWithFeature:
      "ID_AA64ISAR1_EL1 and ONE_REG show pointer authentication exactly if the vCPU has it"
    }
  }
}

/// A set of invariants.
public struct Invariants: Sendable, Hashable {
  public var mask: UInt16
  public init(_ list: [Invariant] = []) {
    mask = 0
    for invariant in list { insert(invariant) }
  }
  public mutating func insert(_ invariant: Invariant) { mask |= 1 << UInt16(invariant.rawValue) }
  public func contains(_ invariant: Invariant) -> Bool {
    mask & 1 << UInt16(invariant.rawValue) != 0
  }
  public var list: [Invariant] { Invariant.allCases.filter(contains) }
}

extension Generation {
  /// Why an invariant says nothing of this generation; nil if it is judged.
  public func inapplicable(_ invariant: Invariant) -> String? {
    switch invariant {
    case .loadClears:
      load == .clears ? nil : load == .sets ? "load sets both bits by design" : "no guest ptrauth"
    case .saveNotInterrupted:
      hostSave == .preemptibleTrap ? nil : "the host's trap handler saves nothing"
    case .hostSavedBeforeEntry, .guestRunsOnItsKeys:
      hostSave == .never ? "no guest ptrauth" : nil
    case .preemptionBalanced: resetCheck == .none ? "kvm_reset_vcpu checks nothing" : nil
    default: nil
    }
  }
}
