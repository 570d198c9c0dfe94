/// One vCPU as the key switch sees it.
public struct VCPUState: Sendable, Hashable {
  /// Names its guest's keys.
  public var number = 0
  /// What vcpu_has_ptrauth() answers: only `both` has it.
  public var feature: Feature
  /// The shadow of HCR_EL2.API and APK in memory: what the next entry will run with.
  public var bits: EnableBits
  /// The guest's ten slots, `sys_regs[APIAKEYLO_EL1...]`, as one.
  public var slots = KeyOwner.unknown
  /// The pCPU it is loaded on.
  public var loadedOn: Int32?
  /// The pCPU of its last load before that.
  public var previouslyOn: Int32?
  /// vcpu->arch.host_cpu_context: the pCPU whose context it points at.
  public var hostContext: Int32?
  /// The context that the function under way has in hand for a host save: the pCPU it belongs to.
  public var context: Int32?
  /// HCR_EL2.API and APK as a nested guest's own hypervisor wrote them; nil while no nested guest runs.
  public var nestedBits: EnableBits?
  /// A ptrauth trap of this vCPU may still be on its way to setting the bits. Where the handler is
  /// preemptible, a load can come in between; the enable then lands after that load, legally.
  public var enableInFlight = false

  public init(feature: Feature = .unknown, bits: EnableBits = .unknown, loadedOn: Int32? = nil) {
    self.feature = feature
    self.bits = bits
    self.loadedOn = loadedOn
  }
}

/// One physical CPU: whose keys are in its ten registers, and what its host slots hold.
public struct PCPUState: Sendable, Hashable {
  /// The ten registers, as one.
  public var live: KeyOwner
  /// The host slots of this pCPU's context: what guest exit restores from.
  public var hostSlots: HostSlots
  /// HCR_EL2.API and APK in the CPU; they matter only while a guest runs.
  public var hcr = EnableBits.unknown
  /// The registers were written and no context synchronisation event came since.
  public var isUnsynchronized = false

  public init(live: KeyOwner = .unknown, hostSlots: HostSlots = .unknown) {
    self.live = live
    self.hostSlots = hostSlots
  }
}

/// Whose keys a register or a slot holds. What "the host's" means depends on the kernel: ``Era``.
public enum KeyOwner: Sendable, Hashable {
  /// Never written.
  case unwritten
  /// The user keys of a process: threads share them, exec makes new ones.
  case host(process: Int32)
  /// The kernel's own APIA of a task.
  case kernel(task: Int32)
  /// What this vCPU's guest last wrote, or its reset left.
  case guest(vcpu: Int)
  /// What this vCPU's guest had before it wrote other keys.
  case oldGuest(vcpu: Int)
  case unknown
}

/// What the host key slots of a pCPU's context hold.
public struct HostSlots: Sendable, Hashable {
  public var keys: KeyOwner
  /// Saved since the last load on this pCPU; otherwise nobody may rely on it.
  public var isFresh: Bit

  public init(_ keys: KeyOwner, isFresh: Bit) {
    self.keys = keys
    self.isFresh = isFresh
  }

  public static let unknown = HostSlots(.unknown, isFresh: .unknown)
  /// Saved by this process since the loaded vCPU was loaded: what guest exit may restore.
  public static func valid(process: Int32) -> HostSlots {
    HostSlots(.host(process: process), isFresh: .set)
  }
  /// Saved by this process, but before the last load: nobody may rely on it.
  public static func stale(process: Int32) -> HostSlots {
    HostSlots(.host(process: process), isFresh: .clear)
  }

  /// The process whose keys these are, if known.
  public var process: Int32? { if case .host(let process) = keys { process } else { nil } }
}
