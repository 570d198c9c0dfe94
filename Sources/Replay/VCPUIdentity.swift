/// Which vCPU something belongs to, and how that is known (reference-model §3.2).
public struct VCPUIdentity: Sendable, Hashable {
  /// struct kvm_vcpu *, nil when the recording never shows it.
  public var pointer: UInt64?
  /// vcpu->vcpu_id.
  public var number: Int32?
  /// The thread that stands for the vCPU while no pointer is known.
  public var thread: Int32?
  public var kind: Kind

  /// Ranked: the first is the best.
  public enum Kind: Int, Sendable, Hashable, Comparable {
    /// A probe's argument.
    case probe
    /// kvm_arm_setup_debug, emitted right before every kvm_entry up to 6.12.
    case setupDebug
    /// The recorder's own list of the guest's vCPUs and the host threads that run them (a trace.dat's
    /// GUEST option).
    case guestList
    /// One thread taken for one vCPU: the usual layout of a VMM, not a rule.
    case thread
    public static func < (a: Kind, b: Kind) -> Bool { a.rawValue < b.rawValue }
    public var words: String {
      switch self {
      case .probe: "probe argument"
      case .setupDebug: "kvm_arm_setup_debug"
      case .guestList: "the recorder's list of guests"
      case .thread: "thread (weak)"
      }
    }
  }

  public init(pointer: UInt64? = nil, number: Int32? = nil, thread: Int32? = nil, kind: Kind) {
    self.pointer = pointer
    self.number = number
    self.thread = thread
    self.kind = kind
  }
}
