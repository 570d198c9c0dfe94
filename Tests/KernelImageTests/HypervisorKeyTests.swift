import KernelImage
import Ptrauth
import Testing

/// el2-keys-mixed: EL2's own keys, where protected mode gives it some.
@Suite("Audit of EL2's own keys")
struct HypervisorKeyTests {
  static let has612 = RecordedKernel.present.contains(.debian612)

  @Test("kernels before 6.5 have none", arguments: [RecordedKernel.v7, .debian61])
  func none(kernel: RecordedKernel) throws {
    let audit = try kernel.open().audit()
    #expect(!audit.checks.contains { $0.place.contains("protected mode") })
    #expect(!audit.sites.contains { $0.user == .hypervisor })
  }

  @Test(
    "the out-of-line code of __host_exit saves ten, loads ten, fences, and restores ten",
    .enabled(if: has612, RecordedKernel.missing))
  func unmodified() throws {
    let checks = try RecordedKernel.debian612.open().audit().checks
      .filter { $0.place.contains("protected mode") }
    #expect(checks.map(\.outcome) == [.pass, .pass, .pass, .pass, .pass])
    #expect(checks.map(\.question) == [.keySet, .keySet, .keySet, .base, .isb])
  }

  @Test(
    "each fault in it is el2-keys-mixed and nothing else",
    .enabled(if: has612, RecordedKernel.missing))
  func planted() throws {
    let kernel = try PatchedKernel(.debian612)
    let site = try #require(
      try KernelImage(path: kernel.path).audit().sites.first { $0.user == .hypervisor })
    // The replacements lie behind the section's functions: the way out comes first or last.
    let start = site.address - 64
    let words = try #require(try KernelImage(path: kernel.path).code(at: start, count: 120))
    let reads = words.indices(isMRS)
    let writes = words.indices(isMSR)
    try #require(reads.count == 10 && writes.count == 20)
    let isb = try #require(words.firstIndex(of: 0xd503_3fdf))
    let (own, back) = (writes.filter { $0 < isb }, writes.filter { $0 > isb })
    try #require(own.count == 10 && back.count == 10)
    let store = reads[1] + 1
    #expect(isSTP(words[store]))
    let faults: [(String, CodeCheck.Question, [Int: UInt32])] = [
      ("no isb", .isb, [isb: nop]),
      ("one of the host's is not read", .keySet, [reads[7]: nop]),
      ("a pair is not stored", .keySet, [store: nop]),
      ("one of EL2's is not loaded", .keySet, [own[2]: nop]),
      (
        "EL2's LO and HI swapped", .keySet,
        [own[4]: words[own[4]] ^ 0x20, own[5]: words[own[5]] ^ 0x20]
      ),
      ("one of the host's is not restored", .keySet, [back[9]: nop]),
      (
        "EL2's from elsewhere", .base,
        [words.base(before: own[0]): words[words.base(before: own[0])] + 8 << 10]
      ),
    ]
    for (description, question, changes) in faults {
      var placed: [UInt64: UInt32] = [:]
      for (index, word) in changes { placed[start + UInt64(index) * 4] = word }
      try kernel.audit(with: placed) { image in
        let failures = try image.audit().failures
        #expect(Set(failures.map(\.question)) == [question], "\(description): \(failures)")
        #expect(Set(failures.map { $0.rule?.id }) == ["el2-keys-mixed"], "\(description)")
      }
    }
  }
}
