/// What userspace asked for at KVM_ARM_VCPU_INIT.
public enum Feature: Sendable, Hashable {
  /// Both KVM_ARM_VCPU_PTRAUTH_ADDRESS and KVM_ARM_VCPU_PTRAUTH_GENERIC: the vCPU has ptrauth.
  case both
  /// Neither: every use is answered with an UNDEF.
  case none
  /// Exactly one. v7 refuses it in kvm_reset_vcpu, with a warning.
  case partial
  case unknown

  /// KVM_ARM_VCPU_PTRAUTH_ADDRESS and _GENERIC are bits 5 and 6 (uapi/asm/kvm.h).
  public init(features: UInt64) {
    switch (features >> 5) & 3 {
    case 3: self = .both
    case 0: self = .none
    default: self = .partial
    }
  }
}

/// What all CPUs of the host support: system_supports_address_auth(), _generic_auth(), has_vhe().
public struct HostSupport: Sendable, Hashable {
  public var address, generic, hasVHE: Bool
  public init(address: Bool = true, generic: Bool = true, hasVHE: Bool = true) {
    self.address = address
    self.generic = generic
    self.hasVHE = hasVHE
  }
}
