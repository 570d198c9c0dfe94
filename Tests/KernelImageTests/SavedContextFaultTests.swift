import KernelImage
import Ptrauth
import Testing

/// Ten registers, each to its own slot, and yet the host's keys are not where guest exit looks for them.
@Suite("Audit of where the host's keys go")
struct SavedContextFaultTests {
  private static let nop: UInt32 = 0xd503_201f

  private static func readsCPUOffset(_ instruction: A64Instruction) -> Bool {
    if case .readSystem(A64.SystemRegister.tpidrEL1, _) = instruction { return true }
    if case .readSystem(A64.SystemRegister.tpidrEL2, _) = instruction { return true }
    return false
  }

  @Test("a base that was lost on the way is no base", arguments: ["", "__kvm_nvhe_"])
  func lost(prefix: String) throws {
    let subject = try ChangedFunction("6.1", prefix + "kvm_hyp_handle_ptrauth")
    #expect(try subject.saves([:]) == [.pass])
    let offset = try subject.first(Self.readsCPUOffset)
    #expect(try !subject.saves([offset: Self.nop]).contains(.pass))
    #expect(try !subject.saves([offset + 1: Self.nop]).contains(.pass))
  }

  /// 6.12 asks CurrentEL: at EL2 into kvm_hyp_ctxt of this CPU, at EL1 into the nVHE copy's.
  @Test func eitherLevel() throws {
    let subject = try ChangedFunction("6.12", "kvm_arch_vcpu_load")
    #expect(try subject.saves([:]) == [.pass])
    let words = subject.words
    let level = try subject.first {
      if case .readSystem(A64.SystemRegister.currentEL, _) = $0 { true } else { false }
    }
    let compare = try subject.first(after: level) {
      if case .addImmediate(_, _, -8, _, true) = $0 { true } else { false }
    }
    let branch = try subject.first(after: compare) {
      if case .branchIf = $0 { true } else { false }
    }
    let faults: [[Int: UInt32]] = [
      [level: Self.nop], [compare: Self.nop], [branch: Self.nop],
      // CMP Xn, #4: EL1.
      [compare: words[compare] & ~(0xfff << 10) | 4 << 10],
    ]
    for fault in faults {
      #expect(try !subject.saves(fault).contains(.pass), "\(fault)")
    }
    // ADD Xd, Xn, #imm of nVHE's context: 8 bytes further on.
    let key = try subject.first { if case .keyRead = $0 { true } else { false } }
    let context = try subject.last(before: key) {
      if case .addImmediate(_, _, 1..., true, false) = $0 { true } else { false }
    }
    #expect(try !subject.saves([context: words[context] + 8 << 10]).contains(.pass))
  }
}

extension ChangedFunction {
  fileprivate func first(after index: Int, _ matches: (A64Instruction) -> Bool) throws -> Int {
    let found = code[(index + 1)...].firstIndex(where: matches)
    return try #require(found)
  }

  /// What the audit says of this function's save.
  fileprivate func saves(_ changes: [Int: UInt32]) throws -> [CodeCheck.Outcome] {
    try checks([.hostSave], changes).filter { subjectName == $0.place }.map(\.outcome)
  }

  private var subjectName: String? { image.function(at: address)?.name }
}
