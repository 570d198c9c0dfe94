/// One vCPU as the key switch sees it.
public struct VCPUState: Sendable, Hashable {
  public var feature: Feature
  /// The shadow of HCR_EL2.API and APK: what the next entry will run with.
  public var bits: EnableBits
  /// The pCPU it is loaded on.
  public var loadedOn: Int32?
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
  public var live: KeyOwner
  public var hostSlots: HostSlots

  public init(live: KeyOwner = .unknown, hostSlots: HostSlots = .unknown) {
    self.live = live
    self.hostSlots = hostSlots
  }
}

/// Whose keys are in the registers. A host key set belongs to a process: threads share it, exec
/// makes a new one (arch/arm64/include/asm/pointer_auth.h of the v7 era).
public enum KeyOwner: Sendable, Hashable {
  case host(process: Int32)
  case guest(vcpu: Int)
  case unknown
}

/// What the host key slots of a pCPU's context hold.
public enum HostSlots: Sendable, Hashable {
  case unknown
  /// Saved by this process since the loaded vCPU was loaded: what guest exit may restore.
  case valid(process: Int32)
  /// Saved by this process, but before the last load: nobody may rely on it.
  case stale(process: Int32)

  /// The process whose keys these are, if known.
  public var process: Int32? {
    switch self {
    case .unknown: nil
    case .valid(let process), .stale(let process): process
    }
  }
}
