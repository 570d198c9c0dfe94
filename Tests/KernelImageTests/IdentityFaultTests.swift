import KernelImage
import Ptrauth
import Testing

/// The ID registers of a vCPU without ptrauth.
@Suite("Audit of the ID registers")
struct IdentityFaultTests {
  private static let isar2: UInt64 = ~0xff00

  @Test(
    "fields that a vCPU without the feature sees fail, in each generation",
    arguments: CodeKernel.all.indices.filter { CodeKernel.all[$0].path.hasPrefix("traces/") })
  func fields(index: Int) throws {
    let kernel = CodeKernel.all[index]
    let subject = try ChangedFunction(
      kernel, ["kvm_read_sanitised_id_reg", "read_id_reg", "read_id_reg.isra.0"])
    #expect(try subject.answers([:]).allSatisfy { $0.hasPrefix("pass: ID_AA64ISAR1_EL1") })
    let words = subject.words
    // MOV Xd, #-4081; MOVK Xd, #0xff, LSL #16; AND X0, X0, Xd.
    let constant = subject.code.firstIndex {
      if case .moveConstant(_, 0xffff_ffff_ffff_f00f) = $0 { true } else { false }
    }
    let first = try #require(constant)
    let high = try #require(
      subject.code[first...].firstIndex {
        if case .moveKeep(_, 0xff_0000, _, true) = $0 { true } else { false }
      })
    let clear = try #require(
      subject.code[high...].firstIndex {
        if case .logicalRegister(.and, _, _, _, .shiftedLeft(0), false, true) = $0 {
          true
        } else {
          false
        }
      })
    let shown = "fail: ID_AA64ISAR1_EL1: the fields"
    var faults: [(String, [Int: UInt32], String)] = [
      ("not masked", [clear: nop], shown),
      // MOVN Xd, #0xf0: API stays; MOVK Xd, #0xfff, LSL #16: GPA stays.
      ("API is left", [first: words[first] & ~(0xffff << 5) | 0xf0 << 5], shown),
      ("GPA is left", [high: words[high] & ~(0xffff << 5) | 0xfff << 5], shown),
    ]
    // Every test of the feature in front of it turned around: TBZ, TBNZ of the flag.
    let flags = subject.code.indices.filter { place in
      if case .testBranch(_, 2, _, _) = subject.code[place] { true } else { false }
    }
    if !flags.isEmpty {
      faults.append(
        (
          "turned around",
          Dictionary(uniqueKeysWithValues: flags.map { ($0, words[$0] ^ 0x0100_0000) }), shown
        ))
    }
    // AND X0, X0, #~0xff00: the other register, from 5.18 on.
    let others = subject.code.indices.filter { place in
      if case .logicalImmediate(.and, 0, 0, Self.isar2, true) = subject.code[place] {
        true
      } else {
        false
      }
    }
    #expect(others.isEmpty == (kernel.testDescription == "5.10"))
    if !others.isEmpty {
      faults.append(
        (
          "the second register", Dictionary(uniqueKeysWithValues: others.map { ($0, nop) }),
          "fail: ID_AA64ISAR2_EL1: the fields"
        ))
    }
    for (description, changes, expected) in faults {
      let found = try subject.answers(changes)
      #expect(found.contains { $0.hasPrefix(expected) }, "\(kernel), \(description): \(found)")
    }
  }
}

extension ChangedFunction {
  fileprivate func answers(_ changes: [Int: UInt32]) throws -> [String] {
    try checks([.identity], changes).map { "\($0.outcome.rawValue): \($0.statement)" }
  }
}
