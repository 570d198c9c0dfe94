import Observation
import Ptrauth

/// What is left possible of one vCPU, and the last that was seen of it.
struct ModelWatch {
  /// Nil: nothing is modelled.
  var belief: Belief?
  /// The events that the belief rests on, as far back as they are told.
  private var trail = InlineArray<4, Sight?>(repeating: nil)
  /// Events, as many as ``trail`` has places.
  static let remembered = 4
  private var next = 0
  /// Since the last run was judged.
  var contradiction: Contradiction?
  /// Its last kvm_entry, if no load came since: before one the recorder may not have turned on what says that it ran,
  /// or have turned it off already.
  var entered: Moment?

  struct Sight {
    var symbol: Symbol
    var sample: EnableBits?
    var at: Moment
  }

  init(_ belief: Belief?) { self.belief = belief }

  mutating func note(_ sight: Sight) {
    trail[next % Self.remembered] = sight
    next += 1
  }

  /// Events are missing before this one.
  mutating func breakOff() {
    contradiction = nil
    entered = nil
  }

  /// In the order they came.
  var sights: [Sight] { (0..<Self.remembered).compactMap { trail[(next + $0) % Self.remembered] } }

  /// Whatever was known is no longer.
  mutating func forget(_ anything: Belief) { self = ModelWatch(anything) }
}

/// Events of one vCPU that no run of its generation's code makes.
struct Contradiction {
  var vcpu: Int
  var sights: [ModelWatch.Sight]
  /// The shadow as the code would have left it.
  var expected: EnableBits
  var count: UInt64 = 1

  var begin: UInt64 { sights.first?.at.time ?? 0 }
  var end: UInt64 { sights.last?.at.time ?? 0 }

  /// Both bits were seen set, and cleared where nothing of a pass looks at them: the next use traps again.
  var isEarlyClear: Bool {
    isClear && sights.last?.symbol.kind != .sync && sights.contains { $0.sample == .set }
  }

  /// A trap should have been answered with both bits, and was not.
  var isUnanswered: Bool { isClear && !sights.contains { $0.sample == .set } }

  /// Both bits are set, and the code had left them clear.
  var comesFromNothing: Bool { expected == .clear && sights.last?.sample == .set }

  private var isClear: Bool { expected == .set && sights.last?.sample == .clear }
}

extension Symbol.Kind {
  /// The event that it is.
  var event: String {
    switch self {
    case .load, .loadElsewhere, .loadSomewhere: "kvm_arch_vcpu_load"
    case .put: "kvm_arch_vcpu_put"
    case .entry, .injected: "kvm_entry"
    case .trappedAtHyp: "kvm_hyp_handle_ptrauth"
    case .sync: "kvm_vgic_sync_hwstate"
    case .exit, .instructionTrap, .systemRegisterTrap: "kvm_exit"
    case .wasKeyRegister, .wasOtherRegister, .look: "handle_exit"
    case .lookInHandler: "kvm_inject_undefined"
    case .handlerEntered, .handlerReturned: "kvm_arm_vcpu_ptrauth_trap"
    case .reset: "kvm_reset_vcpu"
    case .userspaceExit: "kvm_userspace_exit"
    case .unseenLoads, .hasFeature, .lacksFeature: "features"
    }
  }

  var detail: String? {
    switch self {
    case .instructionTrap: "a pointer authentication trap"
    case .wasKeyRegister: "a trapped key register"
    case .handlerReturned: "returns"
    default: nil
    }
  }
}
