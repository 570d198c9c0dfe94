public import Ptrauth

/// How a bit is known.
public enum Basis: Sendable, Hashable {
  /// A field of an event shows it: the shadow sampled, or a trap that needs the bit to be 0.
  case observed
  /// The model implies it from events that were seen.
  case implied
  case unknown

  public var word: String {
    switch self {
    case .observed: "observed"
    case .implied: "implied"
    case .unknown: "unknown"
    }
  }
}

/// API and APK at one end of a run, and how they are known.
public struct KnownBits: Sendable, Hashable {
  public var bits: EnableBits
  public var basis: Basis

  public init(_ bits: EnableBits, _ basis: Basis) {
    self.bits = bits
    self.basis = bits == .unknown ? .unknown : basis
  }
  public static let unknown = KnownBits(.unknown, .unknown)
}

/// One kvm_entry .. kvm_exit pair.
public struct Run: Sendable {
  public var vcpu: VCPUIdentity
  public var tid: Int32
  public var pid: Int32
  public var cpu: Int32
  public var enter: UInt64
  /// Nil when the recording ends, or loses events, before the kvm_exit.
  public var exit: UInt64?
  /// ARM_EXCEPTION_CODE, and ESR_ELx.EC of a TRAP.
  public var ret: Int32?
  public var ec: UInt32?
  /// At the first pass's entry, and at the last pass's exit.
  public var atEntry: KnownBits
  public var atExit: KnownBits

  package init(
    vcpu: VCPUIdentity, tid: Int32, pid: Int32, cpu: Int32, enter: UInt64, exit: UInt64? = nil,
    ret: Int32? = nil, ec: UInt32? = nil, atEntry: KnownBits, atExit: KnownBits
  ) {
    self.vcpu = vcpu
    self.tid = tid
    self.pid = pid
    self.cpu = cpu
    self.enter = enter
    self.exit = exit
    self.ret = ret
    self.ec = ec
    self.atEntry = atEntry
    self.atExit = atExit
  }
}

/// One line of the timeline.
public enum TimelineEntry: Sendable {
  case run(Run)
  /// `isImplied`: no probe recorded it; sched_switch or kvm_userspace_exit prove it.
  case load(VCPUIdentity, Moment, isImplied: Bool)
  case put(VCPUIdentity, Moment, isImplied: Bool)
  case trap(VCPUIdentity, Moment, PtrauthTrap, answer: TrapAnswer)
  /// Events of one pCPU (-1: of any) are missing from `since` (ns) on; the moment is the first after them.
  case loss(Moment, since: UInt64, count: UInt64)
  case finding(Rule, Finding.Level, VCPUIdentity?, Moment)
}

/// What became of a ptrauth trap.
public enum TrapAnswer: Sendable, Hashable {
  case enabled, undefined, unknown
  /// The retry entered as disabled as before, no load came between, and UNDEFs are seen: it was none.
  case notEnabled
  public var word: String? {
    switch self {
    case .enabled: "enabled"
    case .undefined: "undef"
    case .notEnabled: "none"
    case .unknown: nil
    }
  }
}

extension TimelineEntry {
  /// No finding says more than `ceiling`.
  func capped(at ceiling: Finding.Level) -> TimelineEntry {
    guard case .finding(let rule, let level, let vcpu, let at) = self, level > ceiling else {
      return self
    }
    return .finding(rule, ceiling, vcpu, at)
  }
}

extension EnableBits {
  /// Only the zeros are kept.
  var withoutSet: EnableBits {
    EnableBits(api: api == .set ? .unknown : api, apk: apk == .set ? .unknown : apk)
  }
}
