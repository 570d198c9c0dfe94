/// One generation of KVM's pointer authentication switch, as a table of facts. Adding a generation
/// is adding a value; no transition asks which one it is.
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
  /// The context that guest exit restores the host's keys from is reached through
  /// vcpu->arch.host_cpu_context (removed in 5.8 by 07da1ffaa137).
  public var hasHostContextPointer: Bool

  public enum Load: Sendable, Hashable { case nothing, clears, sets }
  public enum HostSave: Sendable, Hashable {
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
  public enum Trap: Sendable, Hashable {
    /// A kvm_exit; the handler enables. Without the feature: UNDEF.
    case reachesHost
    /// Handled at EL2 without a kvm_exit. Without the feature a kvm_exit, then UNDEF.
    case handledAtHyp
    /// Never taken with the feature: API and APK are set from load on.
    case never
  }
  public enum Guard: Sendable, Hashable { case none, shadow, live }

  /// Up to 5.1: kvm_handle_ptrauth only injects UNDEF.
  public static let g0 = Generation(
    name: "5.0", id: "G0", load: .nothing, hostSave: .never, trap: .reachesHost, guardReads: .none,
    hasHostContextPointer: true)
  /// v1 to about v6 as posted: C code, host keys saved on every entry.
  public static let g1 = Generation(
    name: "v6", id: "G1", load: .clears, hostSave: .everyEntry, trap: .reachesHost,
    guardReads: .shadow,
    hasHostContextPointer: true)
  /// v7 7/10, 19 March 2019: the seed.
  public static let g2 = Generation(
    name: "v7", id: "G2", load: .clears, hostSave: .preemptibleTrap, trap: .reachesHost,
    guardReads: .shadow, hasHostContextPointer: true)
  /// As merged: 384b40caa8af.
  public static let g3 = Generation(
    name: "5.2", id: "G3", load: .clears, hostSave: .preemptibleTrap, trap: .reachesHost,
    guardReads: .shadow, hasHostContextPointer: true)
  /// Stable with ef3e40a7ea8d: host keys saved at load, out of the preemptible handler.
  public static let g3s = Generation(
    name: "5.6.19", id: "G3s", load: .clears, hostSave: .everyLoad, trap: .reachesHost,
    guardReads: .shadow, hasHostContextPointer: true)
  /// 29eb5a3c57f7: traps handled early. (5.8 itself still guards by the shadow; 5.9 reads HCR_EL2.)
  public static let g4 = Generation(
    name: "5.8", id: "G4", load: .clears, hostSave: .hypTrap, trap: .handledAtHyp,
    guardReads: .live,
    hasHostContextPointer: false)
  /// 8fb2046180a0: per-EC handlers; the same semantics.
  public static let g5 = Generation(
    name: "5.16", id: "G5", load: .clears, hostSave: .hypTrap, trap: .handledAtHyp,
    guardReads: .live,
    hasHostContextPointer: false)
  /// 814ad8f96e92: no trapping, bits set and host keys saved at every load.
  public static let g6 = Generation(
    name: "6.10", id: "G6", load: .sets, hostSave: .everyLoad, trap: .never, guardReads: .live,
    hasHostContextPointer: false)

  public static let all = [g0, g1, g2, g3, g3s, g4, g5, g6]
}
