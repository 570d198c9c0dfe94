/// One generation of KVM's pointer authentication switch, as facts. Adding a generation is adding a
/// value (GenerationTable.swift); nothing asks which one it is. Code.swift turns the facts into code.
public struct Generation: Sendable, Hashable {
  /// The first release or posting with this scheme: "v7", "5.2", "5.8" ...
  public var name: String
  /// G0 ... G6 of the reference model.
  public var id: String
  /// What kvm_arch_vcpu_load does to API and APK of a vCPU with the feature.
  public var load: Load
  /// Where the host's keys are saved.
  public var hostSave: HostSave
  /// Who sees the first use of a vCPU with the feature.
  public var trap: Trap
  /// What the guard of the key switch reads.
  public var guardReads: Guard
  /// The context that the host's keys are saved to is reached through vcpu->arch.host_cpu_context
  /// (removed in 5.8 by 07da1ffaa137).
  public var hasHostContextPointer: Bool
  /// An ISB follows the restore of the host's keys.
  public var exitSynchronizes: Bool
  /// What vcpu_has_ptrauth() asks.
  public var featureTest: FeatureTest
  /// The switch is also in the nVHE copy of the code; else guests of nVHE hosts have no ptrauth.
  public var supportsNVHE: Bool
  /// What kvm_reset_vcpu does where ptrauth was asked for and vcpu_has_ptrauth() says no.
  public var resetCheck: ResetCheck
  /// When a guest's read of ID_AA64ISAR1_EL1 shows APA, API, GPA and GPI as 0.
  public var idMask: IDMask
  /// Without the feature, KVM_GET/SET_ONE_REG refuse the key registers (REG_NO_USER, REG_HIDDEN).
  public var hidesKeyRegisters: Bool
  /// Whose bits a nested guest runs with.
  public var nestedBits: NestedBits
  /// Whose keys EL2 runs with where pKVM is enabled.
  public var protectedKeys: ProtectedKeys
  /// The kernel's own use of the keys while this generation was current.
  public var eras: [Era]
  /// The commit or posting that made it, first line of the change or message id.
  public var origin: String

  public enum Load: Sendable, Hashable, CaseIterable { case nothing, clears, sets }
  public enum HostSave: Sendable, Hashable, CaseIterable {
    /// No guest ptrauth, no save.
    case never
    /// In __guest_enter, every pass.
    case everyEntry
    /// In the trap handler, after preemption was enabled again.
    case preemptibleTrap
    /// In kvm_arch_vcpu_load.
    case everyLoad
    /// In the exit path at EL2, before the host runs.
    case hypTrap
  }
  public enum Trap: Sendable, Hashable, CaseIterable {
    /// A kvm_exit; the handler enables. Without the feature: UNDEF.
    case reachesHost
    /// Handled at EL2 without a kvm_exit. Without the feature a kvm_exit, then UNDEF.
    case handledAtHyp
    /// Never taken with the feature: API and APK are set from load on.
    case never
  }
  public enum Guard: Sendable, Hashable, CaseIterable {
    case none
    /// hcr_el2 in memory.
    case shadow
    /// HCR_EL2 in the CPU.
    case live
  }
  public enum FeatureTest: Sendable, Hashable, CaseIterable {
    /// Guests have no ptrauth.
    case never
    /// Any support of the host.
    case hostAlone
    /// Both kinds in the host, and both of userspace's feature bits.
    case bothBits
  }
  public enum ResetCheck: Sendable, Hashable, CaseIterable {
    case none
    /// A bare return, after the put and with preemption disabled.
    case returnsEarly
    /// Through the function's common exit.
    case unwinds
  }
  public enum IDMask: Sendable, Hashable, CaseIterable { case always, withoutFeature, never }
  public enum NestedBits: Sendable, Hashable, CaseIterable {
    /// No nested guests.
    case unsupported
    /// HCR_EL2 as the guest's own hypervisor wrote it.
    case fromGuest
  }
  public enum ProtectedKeys: Sendable, Hashable, CaseIterable {
    /// EL2 uses what it finds; there is no pKVM, or it uses no keys of its own.
    case hosts
    /// __host_exit saves the kernel's keys and installs EL2's (8c15c2a02810).
    case own
  }
}

extension Generation {
  /// vcpu_has_ptrauth(): of the feature bits userspace set and of what the host supports.
  public func hasPtrauth(_ asked: Feature, on host: HostSupport) -> Bool {
    guard host.hasVHE || supportsNVHE else { return false }
    switch featureTest {
    case .never: return false
    case .hostAlone: return host.address || host.generic
    case .bothBits: return host.address && host.generic && asked == .both
    }
  }

  /// What vcpu_has_ptrauth() says, kept apart from "asked for, in vain".
  public func effective(_ asked: Feature, on host: HostSupport) -> Feature {
    if hasPtrauth(asked, on: host) { return .both }
    return asked == .none ? .none : .partial
  }
}
