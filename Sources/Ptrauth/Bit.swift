/// One bit of HCR_EL2 as far as it is known. Unknown is a value, not an error.
public enum Bit: Sendable, Hashable {
  case clear, set, unknown

  /// 0, 1, or nil for unknown.
  public var value: Int? {
    switch self {
    case .clear: 0
    case .set: 1
    case .unknown: nil
    }
  }

  public init(_ isSet: Bool) { self = isSet ? .set : .clear }
}

/// HCR_EL2.API and HCR_EL2.APK of one vCPU. 1 lets the guest use pointer authentication, 0 traps
/// to EL2. API covers the instructions, APK the key registers.
public struct EnableBits: Sendable, Hashable {
  public var api: Bit
  public var apk: Bit

  public init(api: Bit, apk: Bit) {
    self.api = api
    self.apk = apk
  }

  public static let clear = EnableBits(api: .clear, apk: .clear)
  public static let set = EnableBits(api: .set, apk: .set)
  public static let unknown = EnableBits(api: .unknown, apk: .unknown)

  /// HCR_EL2.APK, bit 40, and HCR_EL2.API, bit 41 (arch/arm64/include/asm/kvm_arm.h).
  public static let apkMask: UInt64 = 1 << 40
  public static let apiMask: UInt64 = 1 << 41

  /// The two bits of a value of HCR_EL2, or of its shadow in memory.
  public init(hcr: UInt64) {
    api = Bit(hcr & Self.apiMask != 0)
    apk = Bit(hcr & Self.apkMask != 0)
  }

  /// Both bits are known.
  public var isKnown: Bool { api != .unknown && apk != .unknown }

  /// The guard of `ptrauth_switch_to_guest` and `ptrauth_switch_to_host`: either bit switches all
  /// ten registers. Unknown if the bits do not decide it.
  public var switchesKeys: Bit {
    if api == .set || apk == .set { return .set }
    return self == .clear ? .clear : .unknown
  }
}
