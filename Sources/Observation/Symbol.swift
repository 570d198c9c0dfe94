public import Ptrauth

/// One event of a vCPU, reduced to what it says about API and APK. Of these there are so few that what each does to
/// each belief can be kept in a table.
public struct Symbol: Sendable, Hashable {
  public var kind: Kind
  /// The shadow as the event shows it; nil: it does not.
  private(set) var sample: UInt8?

  /// - Parameter sample: what is not wholly known is not used.
  public init(_ kind: Kind, _ sample: EnableBits? = nil) {
    self.kind = kind
    self.sample = sample.flatMap(VCPUWorld.Pair.init)?.code
  }

  public enum Kind: UInt8, Sendable, Hashable, CaseIterable {
    /// kvm_arch_vcpu_load, sampled before it clears: on the pCPU of the load before, on another, or on one of the two.
    case load, loadElsewhere, loadSomewhere
    /// kvm_arch_vcpu_put.
    case put
    /// Loads may have come that left no event.
    case unseenLoads
    /// kvm_entry, sampled before it.
    case entry
    /// A trap was taken at EL2 (kvm_hyp_handle_ptrauth), which answers it or leaves it to the host.
    case trappedAtHyp
    /// kvm_vgic_sync_hwstate, right behind the last guest exit.
    case sync
    /// kvm_exit: of no ptrauth trap, of an instruction's, of a trapped access to some system register.
    case exit, instructionTrap, systemRegisterTrap
    /// Which register it was turned out: a key, or another.
    case wasKeyRegister, wasOtherRegister
    /// A sample that is taken before the handler of a trap does anything; and anywhere else.
    case look, lookInHandler
    /// kvm_arm_vcpu_ptrauth_trap was entered; and returned.
    case handlerEntered, handlerReturned
    /// The guest goes on elsewhere than at the instruction that trapped: it was given an exception.
    case injected
    /// kvm_reset_vcpu.
    case reset
    /// kvm_userspace_exit: the handler of any trap is through.
    case userspaceExit
    /// The vCPU's features, as vcpu_has_ptrauth() takes them.
    case hasFeature, lacksFeature

    public var isLoad: Bool {
      switch self {
      case .load, .loadElsewhere, .loadSomewhere: true
      default: false
      }
    }
  }

  var isSampled: Bool { sample != nil }

  static let count = Kind.allCases.count * 5

  var code: Int { Int(kind.rawValue) * 5 + (sample.map { Int($0) + 1 } ?? 0) }

  /// The sample does not contradict it.
  func admits(_ world: VCPUWorld) -> Bool { sample.map { $0 == world.shadow.code } ?? true }
}
