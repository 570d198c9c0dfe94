/// One thing the key switch does, no smaller than matters: other pCPUs, and where the code is
/// preemptible other tasks, may come between two steps and not within one. Each is a line or two of
/// the patch.
public enum Step: Sendable, Hashable {
  /// vcpu->cpu = cpu. Whatever the host slots of this pCPU hold was saved for somebody else.
  case arrive
  /// vcpu->arch.host_cpu_context = this pCPU's context.
  case takeHostContext
  /// kvm_arm_vcpu_ptrauth_enable: hcr_el2 |= HCR_API | HCR_APK. The bits given; both in every kernel.
  case enable(api: Bool, apk: Bool)
  /// kvm_arm_vcpu_ptrauth_disable: hcr_el2 &= ~(HCR_API | HCR_APK).
  case disable
  /// hcr_el2's two bits become those that the nested guest's own hypervisor wrote (6.10).
  case adoptNestedBits
  /// hcr_el2 |= those bits: what the nested virtualisation series did before it knew better.
  case addNestedBits
  /// HCR_EL2 = hcr_el2: __activate_traps.
  case writeHCR
  /// HCR_EL2 |= HCR_API | HCR_APK: the trap handled at EL2 sets the CPU's too.
  case enableHCR
  /// HCR_EL2 without the two bits, or with them, whatever the shadow says. No kernel does: faults.
  case clearHCR, setHCR

  /// ctxt = vcpu->arch.host_cpu_context.
  case readHostContext
  /// ctxt = this pCPU's own context.
  case readOwnContext
  /// __ptrauth_save_key: MRS, store to ctxt's slot. (v7 reads ctxt again before every store, later
  /// kernels once: for any one register that is the same order of steps.)
  case saveHost(KeyRegister)
  /// LDP, MSR of ptrauth_restore_state from the guest's slots.
  case restoreGuest(KeyRegister)
  /// MRS, STP of ptrauth_save_state to the guest's slots.
  case saveGuest(KeyRegister)
  /// LDP, MSR from this pCPU's own context (get_host_ctxt).
  case restoreHost(KeyRegister)
  /// ISB.
  case synchronize

  /// reset_unknown: a constant into a slot. It counts as the guest's: it is what the guest must find.
  case resetGuest(KeyRegister)
  /// kvm_inject_undefined.
  case injectUndefined
  /// The trap is given to the nested guest's own hypervisor (6.10).
  case injectNested

  /// The key register the step is about.
  public var register: KeyRegister? {
    switch self {
    case .saveHost(let key), .restoreGuest(let key), .saveGuest(let key), .restoreHost(let key),
      .resetGuest(let key):
      key
    default: nil
    }
  }
}

/// What a line of code asks before its step. All must hold.
public struct Conditions: OptionSet, Sendable, Hashable {
  public var rawValue: UInt16
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// vcpu_has_ptrauth(vcpu), and its opposite.
  public static let hasFeature = Conditions(rawValue: 1 << 0)
  public static let lacksFeature = Conditions(rawValue: 1 << 1)
  /// hcr_el2 in memory & (HCR_API | HCR_APK): the guard up to 5.8.
  public static let shadowSet = Conditions(rawValue: 1 << 2)
  /// HCR_EL2 in the CPU & (HCR_API | HCR_APK): the guard from 5.9 on.
  public static let hcrSet = Conditions(rawValue: 1 << 3)
  /// A nested guest runs; none does.
  public static let nested = Conditions(rawValue: 1 << 4)
  public static let notNested = Conditions(rawValue: 1 << 5)
  /// For faults: the vCPU was last loaded here too; it has no host context yet; now and then.
  public static let sameCPU = Conditions(rawValue: 1 << 6)
  public static let noHostContext = Conditions(rawValue: 1 << 7)
  public static let sometimes = Conditions(rawValue: 1 << 8)
  /// No line asks this: where there is no guard at all.
  public static let never = Conditions(rawValue: 1 << 9)

  /// Whether they hold: unknown where what they ask is.
  public func hold(_ v: VCPUState, on c: PCPUState) -> Bit {
    if isEmpty || self == .sometimes { return .set }
    var answer = Bit.set
    func ask(_ condition: Conditions, _ value: @autoclosure () -> Bit) {
      guard contains(condition), answer != .clear else { return }
      let value = value()
      if value != .set { answer = value }
    }
    ask(.hasFeature, v.hasFeature)
    ask(.lacksFeature, v.hasFeature.opposite)
    ask(.shadowSet, v.bits.switchesKeys)
    ask(.hcrSet, c.hcr.switchesKeys)
    guard rawValue >= Conditions.nested.rawValue else { return answer }
    ask(.nested, Bit(v.nestedBits != nil))
    ask(.notNested, Bit(v.nestedBits == nil))
    ask(.sameCPU, Bit(v.previouslyOn == v.loadedOn))
    ask(.noHostContext, Bit(v.hostContext == nil))
    ask(.never, .clear)
    return answer
  }
}

extension VCPUState {
  /// What vcpu_has_ptrauth() answers, as far as it is known.
  fileprivate var hasFeature: Bit { feature == .unknown ? .unknown : Bit(feature == .both) }
}

/// A step and its conditions.
public struct Line: Sendable, Hashable {
  public var when: Conditions
  public var step: Step
  public init(_ when: Conditions = [], _ step: Step) {
    self.when = when
    self.step = step
  }
}
