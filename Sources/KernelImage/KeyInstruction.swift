/// Instruction words of the key switch, by the Arm ARM's encodings (checked against an assembler).
enum KeyInstruction {
  /// MRS Xt, AP*KEY{LO,HI}_EL1: S3_0_C2_C{1,2}_{0..3} and S3_0_C2_C3_{0,1}.
  static func isKeyRead(_ word: UInt32) -> Bool { isKeyAccess(word, base: 0xd538_2000) }

  /// MSR AP*KEY{LO,HI}_EL1, Xt.
  static func isKeyWrite(_ word: UInt32) -> Bool { isKeyAccess(word, base: 0xd518_2000) }

  private static func isKeyAccess(_ word: UInt32, base: UInt32) -> Bool {
    guard word & 0xffff_f000 == base else { return false }
    let crm = word >> 8 & 0xf
    let op2 = word >> 5 & 0x7
    return (crm == 1 || crm == 2) && op2 < 4 || crm == 3 && op2 < 2
  }

  static func isKeyAccess(_ word: UInt32) -> Bool { isKeyRead(word) || isKeyWrite(word) }

  /// MRS Xt, HCR_EL2.
  static func isHcrRead(_ word: UInt32) -> Bool { word & 0xffff_ffe0 == 0xd53c_1100 }

  /// AND Xd, Xn, #(HCR_API | HCR_APK), bits 41 and 40.
  static func isHcrGuard(_ word: UInt32) -> Bool { word & 0xffff_fc00 == 0x9258_0400 }

  /// PACIASP, AUTIASP, RETAA and their B-key forms: what -mbranch-protection=pac-ret emits.
  static func isReturnSigning(_ word: UInt32) -> Bool {
    switch word {
    case 0xd503_233f, 0xd503_237f, 0xd503_23bf, 0xd503_23ff, 0xd65f_0bff, 0xd65f_0fff: true
    default: false
    }
  }
}

/// CONFIG_ARM64_PTR_AUTH_KERNEL, from the code: the configuration is not in the file.
package enum KernelPointerAuth {
  /// C functions that every KVM/arm64 has; they call others, so a signing kernel signs in them.
  private static let witnesses = [
    "kvm_arch_vcpu_load", "kvm_arch_vcpu_put", "handle_exit", "kvm_arch_vcpu_ioctl_run",
    "kvm_reset_vcpu",
  ]

  package static func isUsed(by image: KernelImage) -> Bool? {
    var examined = false
    for name in witnesses {
      for function in image.functions(called: name) {
        guard let words = image.words(of: function), !words.isEmpty else { continue }
        examined = true
        if words.contains(where: KeyInstruction.isReturnSigning) { return true }
      }
    }
    return examined ? false : nil
  }
}

extension KernelImage {
  /// All instructions of a function, nil if they are not in the file.
  package func words(of function: KernelFunctionSymbol) -> [UInt32]? {
    examine(function)
    guard let count = Int(exactly: function.size / 4) else { return nil }
    return code(at: function.address, count: count)
  }
}
