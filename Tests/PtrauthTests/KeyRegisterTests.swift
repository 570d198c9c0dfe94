import Ptrauth
import Testing

/// Encodings against the kernel's own names (sysreg.h) and reference-model §0.
struct KeyRegisterTests {
  @Test func theExampleOfTheArchitecture() {
    // A write of APIAKEYLO_EL1 from x0.
    #expect(KeyRegisterAccess(esr: 0x6230_0802) == .init(register: .apiaLo, isWrite: true))
  }

  @Test func allTenRegistersBothDirections() {
    let encodings: [(UInt64, UInt64)] = [
      (1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (2, 1), (2, 2), (2, 3), (3, 0), (3, 1),
    ]
    for (index, (crm, op2)) in encodings.enumerated() {
      for rt: UInt64 in [0, 17, 31] {
        for direction: UInt64 in [0, 1] {
          let esr = 0x6230_0800 | op2 << 17 | rt << 5 | crm << 1 | direction
          let access = KeyRegisterAccess(esr: esr)
          #expect(access?.register.rawValue == index)
          #expect(access?.isWrite == (direction == 0))
        }
      }
    }
  }

  @Test func everythingElseIsNot() {
    // The whole ISS space of EC 0x18, IL=1: exactly 20 * 32 values are key accesses.
    var count = 0
    for iss in UInt64(0)..<(1 << 22) where KeyRegisterAccess(esr: 0x6200_0000 | iss) != nil {
      count += 1
    }
    #expect(count == 20 * 32)
    // The same ISS under another exception class, and ID_AA64ISAR1_EL1 (3,0,0,6,1).
    #expect(KeyRegisterAccess(esr: 0x9230_0802) == nil)
    #expect(KeyRegisterAccess(esr: 0x6200_0000 | 3 << 20 | 1 << 17 | 6 << 1 | 1) == nil)
  }

  @Test func bitsOfHCR() {
    #expect(EnableBits(hcr: 0x0000_0300_0000_0000) == .set)
    #expect(EnableBits(hcr: 0x400c_807c_263f) == .clear)
    #expect(EnableBits(hcr: 1 << 41) == EnableBits(api: .set, apk: .clear))
    #expect(EnableBits(api: .set, apk: .unknown).switchesKeys == .set)
    #expect(EnableBits(api: .clear, apk: .unknown).switchesKeys == .unknown)
  }

  @Test func featureBits() {
    #expect(Feature(features: 0x64) == .both)
    #expect(Feature(features: 0x4) == .none)
    #expect(Feature(features: 0x20) == .partial)
    #expect(Feature(features: 0x40) == .partial)
  }
}
