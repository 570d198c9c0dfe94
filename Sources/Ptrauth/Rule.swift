/// A rule of the catalogue: what a finding is an instance of.
public struct Rule: Sendable, Hashable {
  public var id: String
  public var title: String
  public var severity: Severity
  /// A correctness rule decides the verdict; the others are costs.
  public var isCorrectness: Bool
  /// What follows from it, in one sentence.
  public var consequence: String
  /// Where a reader looks next.
  public var lookAt: String
  /// Kernel functions that hold the code in question, over all generations; a kernel has some of them.
  public var symbols: [String] = []

  public enum Severity: Int, Sendable, Hashable, Comparable, CaseIterable {
    case info, low, medium, high, critical
    public static func < (a: Severity, b: Severity) -> Bool { a.rawValue < b.rawValue }
    public var name: String {
      switch self {
      case .info: "info"
      case .low: "low"
      case .medium: "medium"
      case .high: "high"
      case .critical: "critical"
      }
    }
    public init?(name: String) {
      guard let found = Self.allCases.first(where: { $0.name == name }) else { return nil }
      self = found
    }
  }

  public static let missedHostSave = Rule(
    id: "missed-host-save", title: "host keys not saved before the guest ran with ptrauth enabled",
    severity: .critical, isCorrectness: true,
    consequence: "guest exit loads keys that are not the host's: the VMM's next authentication "
      + "fails, and a kernel that uses pointer authentication itself dies",
    lookAt: "the host save of this generation (v7: __ptrauth_save_state in "
      + "kvm_arm_vcpu_ptrauth_trap), and whether it runs on this pCPU after the last load",
    symbols: ["kvm_arm_vcpu_ptrauth_trap", "kvm_hyp_handle_ptrauth", "kvm_arch_vcpu_load"])
  public static let staleEnable = Rule(
    id: "stale-enable", title: "API/APK still set after kvm_arch_vcpu_load",
    severity: .critical, isCorrectness: true,
    consequence: "the guest runs on without a trap, so the host keys are not saved on this pCPU "
      + "and guest exit restores whatever the slots hold",
    lookAt: "the disable at the end of kvm_arch_vcpu_load (v7: kvm_arm_vcpu_ptrauth_setup_lazy)",
    symbols: ["kvm_arm_vcpu_ptrauth_setup_lazy", "kvm_arch_vcpu_load"])
  public static let missedGuestSave = Rule(
    id: "missed-guest-save", title: "guest keys not saved at guest exit",
    severity: .high, isCorrectness: true,
    consequence: "the guest's key writes are lost at the next entry: its tasks fail to "
      + "authenticate, at once or after a migration",
    lookAt: "the save half of ptrauth_switch_to_host in __guest_exit",
    symbols: ["__guest_exit"])
  public static let missedGuestRestore = Rule(
    id: "missed-guest-restore", title: "guest ran on the host's keys",
    severity: .critical, isCorrectness: true,
    consequence: "the guest can read and use the host's keys, and so forge the host's pointers",
    lookAt: "ptrauth_switch_to_guest in __guest_enter: guard, base and the ten writes",
    symbols: ["__guest_enter"])
  public static let staleHostContext = Rule(
    id: "stale-host-context", title: "host_cpu_context belongs to another pCPU",
    severity: .critical, isCorrectness: true,
    consequence: "host keys are saved for one pCPU and restored on another",
    lookAt: "the assignment of vcpu->arch.host_cpu_context in kvm_arch_vcpu_load",
    symbols: ["kvm_arch_vcpu_load"])
  public static let switchWithoutFeature = Rule(
    id: "switch-without-feature", title: "ptrauth enabled for a vCPU without the feature",
    severity: .high, isCorrectness: true,
    consequence: "the guest uses what it was told it does not have, and no load clears the "
      + "bits, so host slots go stale",
    lookAt: "vcpu_has_ptrauth() in the trap handler and at load",
    symbols: ["kvm_arm_vcpu_ptrauth_trap", "kvm_hyp_handle_ptrauth", "kvm_arch_vcpu_load"])
  public static let trapWhileEnabled = Rule(
    id: "trap-while-enabled", title: "ptrauth trap although the shadow had the bit set",
    severity: .medium, isCorrectness: true,
    consequence: "HCR_EL2 in the CPU is not what the shadow says: keys were switched for a guest "
      + "that may not use them",
    lookAt: "the writes of HCR_EL2 on the way into the guest (__activate_traps)",
    symbols: ["__activate_traps", "__kvm_vcpu_run_vhe", "__kvm_vcpu_run"])
  public static let bitsDiffer = Rule(
    id: "bits-differ", title: "API and APK differ",
    severity: .medium, isCorrectness: true,
    consequence: "all ten registers are switched, but the guest traps for ever on one kind of use",
    lookAt: "whoever sets the bits (v7: kvm_arm_vcpu_ptrauth_enable); legal only for nested guests",
    symbols: ["kvm_arm_vcpu_ptrauth_enable", "kvm_hyp_handle_ptrauth", "kvm_arch_vcpu_load"])
  public static let redundantSwitch = Rule(
    id: "redundant-switch", title: "key switches that no consumer needed",
    severity: .low, isCorrectness: false,
    consequence: "between two passes of one load interval nobody used the host's keys",
    lookAt: "ptrauth-trace's counters; switching at load and put would be enough",
    symbols: ["__guest_enter"])
  public static let redundantHostSave = Rule(
    id: "redundant-host-save", title: "host saves that were never restored from",
    severity: .low, isCorrectness: false,
    consequence: "ten reads and ten stores of key registers for nothing",
    lookAt: "loads that end before a run used the saved slots",
    symbols: ["kvm_arm_vcpu_ptrauth_trap", "kvm_arch_vcpu_load"])
  public static let lazyThrash = Rule(
    id: "lazy-thrash", title: "nearly every load interval traps again",
    severity: .low, isCorrectness: false,
    consequence: "the lazy scheme pays one full exit per load for a guest that always uses ptrauth",
    lookAt: "814ad8f96e92 (6.10), which stopped trapping for this reason",
    symbols: ["kvm_arm_vcpu_ptrauth_setup_lazy", "kvm_arch_vcpu_load"])

  /// Correctness rules first, then costs; within each as the catalogue lists them.
  public static let all = [
    missedHostSave, staleEnable, missedGuestSave, missedGuestRestore, staleHostContext,
    switchWithoutFeature, trapWhileEnabled, bitsDiffer, redundantSwitch, redundantHostSave,
    lazyThrash,
  ]
}
