/// The ten key registers of a key set, in the order of `enum vcpu_sysreg` and of the patch's
/// `__ptrauth_save_state`: five keys, LO before HI.
public enum KeyRegister: Int, Sendable, Hashable, CaseIterable {
  case apiaLo, apiaHi, apibLo, apibHi, apdaLo, apdaHi, apdbLo, apdbHi, apgaLo, apgaHi

  /// "APIAKEYLO_EL1", as sysreg.h and enum vcpu_sysreg spell it.
  public var name: String {
    switch self {
    case .apiaLo: "APIAKEYLO_EL1"
    case .apiaHi: "APIAKEYHI_EL1"
    case .apibLo: "APIBKEYLO_EL1"
    case .apibHi: "APIBKEYHI_EL1"
    case .apdaLo: "APDAKEYLO_EL1"
    case .apdaHi: "APDAKEYHI_EL1"
    case .apdbLo: "APDBKEYLO_EL1"
    case .apdbHi: "APDBKEYHI_EL1"
    case .apgaLo: "APGAKEYLO_EL1"
    case .apgaHi: "APGAKEYHI_EL1"
    }
  }

  /// The register with the encoding `op0, op1, CRn, CRm, op2`; nil if that is no key register.
  /// Op0 3, Op1 0, CRn 2; CRm 1: APIA, APIB; 2: APDA, APDB; 3: APGA (arch/arm64/include/asm/sysreg.h).
  public init?(op0: UInt8, op1: UInt8, crn: UInt8, crm: UInt8, op2: UInt8) {
    guard op0 == 3, op1 == 0, crn == 2 else { return nil }
    switch (crm, op2) {
    case (1, 0...3), (2, 0...3), (3, 0...1): self.init(rawValue: Int(crm - 1) * 4 + Int(op2))
    default: return nil
    }
  }
}

/// A trapped access to a key register: EC 0x18 with one of the ten encodings.
public struct KeyRegisterAccess: Sendable, Hashable {
  public var register: KeyRegister
  public var isWrite: Bool

  public init(register: KeyRegister, isWrite: Bool) {
    self.register = register
    self.isWrite = isWrite
  }

  /// Decodes an ESR_EL2 of EC 0x18: Op0 [21:20], Op2 [19:17], Op1 [16:14], CRn [13:10],
  /// Rt [9:5], CRm [4:1], direction [0] (0 is a write). Nil for any other exception.
  public init?(esr: UInt64) {
    guard ExceptionClass(esr: esr) == .systemRegister else { return nil }
    func field(_ shift: UInt64, _ mask: UInt64) -> UInt8 { UInt8((esr >> shift) & mask) }
    guard
      let register = KeyRegister(
        op0: field(20, 3), op1: field(14, 7), crn: field(10, 15), crm: field(1, 15),
        op2: field(17, 7))
    else { return nil }
    self.register = register
    isWrite = esr & 1 == 0
  }
}

/// The exception classes (ESR_ELx.EC, bits 31:26) that concern pointer authentication.
public struct ExceptionClass: RawRepresentable, Sendable, Hashable {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  public init(esr: UInt64) { rawValue = UInt32((esr >> 26) & 0x3f) }

  /// WFI, WFE.
  public static let waitForInterrupt = ExceptionClass(rawValue: 0x01)
  /// A pointer authentication instruction while HCR_EL2.API is 0.
  public static let pointerAuth = ExceptionClass(rawValue: 0x09)
  /// MSR, MRS or a system instruction; of a key register while HCR_EL2.APK is 0.
  public static let systemRegister = ExceptionClass(rawValue: 0x18)
}

/// A ptrauth trap: the guest tried to use pointer authentication while it was not enabled.
public enum PtrauthTrap: Sendable, Hashable {
  /// EC 0x09. The ISS does not say which instruction or key.
  case instruction
  /// EC 0x18 with a key register.
  case register(KeyRegisterAccess)
}
