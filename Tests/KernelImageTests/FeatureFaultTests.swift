import KernelImage
import Ptrauth
import Testing

/// Code that is whole, and that the wrong vCPUs come to, or none: a test the other way round, a branch past it.
@Suite("Audit of who comes to the code")
struct FeatureFaultTests {
  private static func isFeatureTest(_ instruction: A64Instruction) -> Bool {
    if case .testBranch(_, bit: 2, _, _) = instruction { true } else { false }
  }

  private static let nop: UInt32 = 0xd503_201f

  @Test func theClearAtLoad() throws {
    let subject = try ChangedFunction("6.1", "kvm_arch_vcpu_load")
    #expect(try subject.answers([:]) == [])
    let mask = try subject.first {
      if case .logicalImmediate(.and, _, _, 0xffff_fcff_ffff_ffff, true) = $0 {
        true
      } else {
        false
      }
    }
    let test = try subject.last(before: mask, Self.isFeatureTest)
    #expect(
      try subject.answers(subject.inverted(test)) == ["S10 fail stale-enable kvm_arch_vcpu_load"])
    #expect(
      try subject.answers(subject.always(test)) == ["S10 cannot judge - kvm_arch_vcpu_load"])
  }

  /// TBZ on another bit of the same word: nobody asks for ptrauth any more.
  @Test func theClearAtLoadForOthers() throws {
    let subject = try ChangedFunction("6.1", "kvm_arch_vcpu_load")
    let test = try subject.first(Self.isFeatureTest)
    let other = subject.words[test] & ~(0x1f << 19) | 3 << 19
    #expect(try subject.answers([test: other]) == ["S10 cannot judge - kvm_arch_vcpu_load"])
  }

  @Test func theTrapHandlerAtEL2() throws {
    let name = "kvm_hyp_handle_ptrauth"
    let subject = try ChangedFunction("6.1", name)
    let test = try subject.first(Self.isFeatureTest)
    #expect(
      try subject.answers(subject.inverted(test)) == ["S10 fail switch-without-feature \(name)"])
    #expect(try subject.answers(subject.always(test)).contains("S8 cannot judge - \(name)"))
  }

  @Test func theTrapHandlerThatDeniesWhatItDid() throws {
    let name = "kvm_hyp_handle_ptrauth"
    let subject = try ChangedFunction("6.1", name)
    let handled = try subject.first { if case .moveConstant(1, 1) = $0 { true } else { false } }
    // MOV W1, #0; it goes to W0.
    #expect(
      try subject.answers([handled: 0x5280_0001]) == ["S10 fail feature-denied \(name)"])
  }

  @Test func theTrapHandlerOfV7() throws {
    let name = "kvm_arm_vcpu_ptrauth_trap"
    let subject = try ChangedFunction("v7", name)
    #expect(try subject.answers([:]) == [])
    let save = try subject.first { if case .keyRead = $0 { true } else { false } }
    #expect(try subject.answers(subject.always(save - 1)) == ["S8 cannot judge - \(name)"])
  }

  @Test func theLoadThatSets() throws {
    let name = "kvm_arch_vcpu_load"
    let subject = try ChangedFunction("6.12", name)
    #expect(try subject.answers([:]) == [])
    let set = try subject.first {
      if case .logicalImmediate(.or, _, _, 3 << 40, true) = $0 { true } else { false }
    }
    let test = try subject.last(before: set, Self.isFeatureTest)
    #expect(
      try subject.answers(subject.inverted(test)) == ["S10 fail switch-without-feature \(name)"])
    #expect(try subject.answers([test: Self.nop]) == ["S10 cannot judge - \(name)"])
    // kvm_hyp_ctxt at EL1, and nVHE's at EL2.
    let save = try subject.first { if case .keyRead = $0 { true } else { false } }
    let level = try subject.last(before: save) {
      if case .branchIf(.equal, _) = $0 { true } else { false }
    }
    #expect(
      try subject.answers(subject.inverted(level)) == ["S8 fail missed-host-save \(name)"])
  }
}

extension ChangedFunction {
  /// TBZ and TBNZ, CBZ and CBNZ; B.EQ and B.NE.
  fileprivate func inverted(_ index: Int) -> [Int: UInt32] {
    if case .branchIf = code[index] { return [index: words[index] ^ 1] }
    return [index: words[index] ^ 0x0100_0000]
  }

  /// B to where the branch goes if it is taken.
  fileprivate func always(_ index: Int) throws -> [Int: UInt32] {
    let target: UInt64? =
      switch code[index] {
      case .branchIf(_, let target), .testBranch(_, _, let target, _): target
      default: nil
      }
    let distance = try #require(target) &- (address + UInt64(index) * 4)
    return [index: 0x1400_0000 | UInt32(truncatingIfNeeded: distance / 4) & 0x3ff_ffff]
  }

  /// What does not pass of S8 and S10.
  fileprivate func answers(_ changes: [Int: UInt32]) throws -> [String] {
    try checks([.hostSave, .enable], changes).filter { $0.outcome != .pass }
      .map { "\($0.question.rawValue) \($0.outcome.rawValue) \($0.rule?.id ?? "-") \($0.place)" }
  }
}
