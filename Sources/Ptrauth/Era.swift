/// What the host itself does with the keys, by kernel: which keys of a task are in the registers,
/// since when, and who would notice if they were another's. A table, as ``Generation`` is.
public struct Era: Sendable, Hashable {
  /// A, B, C; C- is C without CONFIG_ARM64_PTR_AUTH_KERNEL.
  public var name: String
  public var description: String
  public var apia: Installs
  /// APIB, APDA, APDB and APGA.
  public var others: Installs

  /// Which keys are installed where; nil: the registers are left as they are.
  public struct Installs: Sendable, Hashable {
    /// __switch_to, of the next task.
    public var atSwitch: Keys?
    /// Entry to the kernel from EL0.
    public var atKernelEntry: Keys?
    /// Return to EL0.
    public var atReturn: Keys?

    public enum Keys: Sendable, Hashable {
      /// Of the process: threads share them.
      case user
      /// Of the task.
      case kernel
    }

    /// Whose keys are in the registers while the kernel runs for a task; nil: whatever was left
    /// there, and nobody minds.
    public var inKernel: Keys? { atKernelEntry ?? (atSwitch == .user ? .user : nil) }
    /// The kernel authenticates with them itself: wrong ones are fatal at once.
    public var kernelUses: Bool { atKernelEntry == .kernel }
  }

  public func installs(_ register: KeyRegister) -> Installs {
    register == .apiaLo || register == .apiaHi ? apia : others
  }

  private static let switched = Installs(atSwitch: .user, atKernelEntry: nil, atReturn: nil)
  private static let kernels = Installs(
    atSwitch: .kernel, atKernelEntry: .kernel, atReturn: .user)
  private static let returned = Installs(atSwitch: nil, atKernelEntry: nil, atReturn: .user)

  /// 5.0 to 5.6. ptrauth_thread_switch in __switch_to; the kernel uses none.
  public static let a = Era(
    name: "A", description: "5.0 to 5.6: user keys only, installed at every task switch",
    apia: switched, others: switched)
  /// 5.7 to 5.12. The kernel's APIA at entry and switch; ptrauth_keys_install_user at every return.
  public static let b = Era(
    name: "B",
    description: "5.7 to 5.12: the kernel has its own APIA; user keys at every return to EL0",
    apia: kernels, others: returned)
  /// 5.13 on: APIA as before, the other four at the task switch again.
  public static let c = Era(
    name: "C",
    description: "5.13 on: the kernel has its own APIA; the other user keys at every task switch",
    apia: kernels, others: switched)
  /// 5.13 on, CONFIG_ARM64_PTR_AUTH_KERNEL=n.
  public static let cWithoutKernel = Era(
    name: "C-", description: "5.13 on, the kernel built without pointer authentication",
    apia: returned, others: switched)

  public static let all = [a, b, c, cWithoutKernel]
}
