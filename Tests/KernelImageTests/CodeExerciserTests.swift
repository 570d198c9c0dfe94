import KernelImage
import Ptrauth
import Testing

private func isKeyRead(_ word: UInt32) -> Bool { word & 0xffff_f000 == 0xd538_2000 }
private func isKeyWrite(_ word: UInt32) -> Bool { word & 0xffff_f000 == 0xd518_2000 }

/// Each rule that no event shows, only code: a kernel that is built so, or one with an instruction taken out, and the
/// audit names the rule. (Rules that events show: ReplayTests, ExerciserTests.)
struct CodeExerciserTests {
  /// The instruction of v7's __guest_exit that becomes a NOP.
  private typealias Break = @Sendable ([UInt32]) -> Int?

  private static let broken: [String: Break] = [
    "partial-key-set": { words in words.indices.first { isKeyRead(words[$0]) } },
    "missing-isb": { words in
      words.indices.first { $0 > 0 && words[$0] == 0xd503_3fdf && isKeyWrite(words[$0 - 1]) }
    },
  ]

  /// Kernels that are so by design.
  private static let built: [String: [RecordedKernel]] = [
    "shadow-not-live": [.v7], "named-labels": [.v7], "guard-cost": [.v7, .debian61],
  ]

  /// EL2's keys and its calls are not in __guest_exit: HypervisorKeyTests and HypervisorPathTests break them.
  private static let elsewhere: Set<String> = ["el2-keys-mixed", "call-out-of-hyp"]

  @Test func everyRuleThatOnlyCodeShowsIsHere() {
    let only = Rule.all.filter { !$0.isJudged(by: .events) }.map(\.id)
    #expect(Set(only) == Self.elsewhere.union(Self.broken.keys).union(Self.built.keys))
  }

  @Test(arguments: broken.keys.sorted())
  func theAuditNamesWhatIsBroken(id: String) throws {
    let find = try #require(Self.broken[id])
    let kernel = try PatchedKernel(.v7)
    let (address, words) = try kernel.words(from: "__guest_exit", count: 100)
    let place = try #require(find(words))
    try kernel.audit(with: [address + UInt64(place) * 4: 0xd503_201f]) { image in
      let failures = try image.audit().failures
      #expect(failures.map(\.rule?.id) == [id])
    }
  }

  @Test(arguments: built.keys.sorted())
  func theAuditNotesWhatIsSoByDesign(id: String) throws {
    for kernel in try #require(Self.built[id]) {
      let audit = try kernel.open().audit()
      #expect(audit.checks.contains { $0.rule?.id == id && $0.outcome == .note }, "\(kernel)")
      #expect(audit.verdict == .pass)
    }
  }

  /// Counted in the disassembly: ldr, and, cbz in v7; mrs, and, cbz behind one patched branch from 5.9 on.
  @Test(arguments: RecordedKernel.present)
  func theGuardCostsWhatIsThere(kernel: RecordedKernel) throws {
    let notes = try kernel.open().audit().checks.filter { $0.rule == .guardCost }
    #expect(notes.count == (kernel == .v7 ? 1 : 2))
    for note in notes {
      #expect(
        note.statement.hasPrefix(
          "the guard costs every entry and every exit 3 instructions"
            + (kernel == .v7 ? ", on CPUs without" : " behind one that is patched at boot")),
        "\(note.statement)")
    }
  }
}
