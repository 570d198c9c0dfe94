import KernelImage
import Ptrauth
import Testing

private let nop: UInt32 = 0xd503_201f

/// One way to break the key switch in code, and the one answer that has to change.
private struct Fault: Sendable, CustomTestStringConvertible {
  let testDescription: String
  /// Where the code begins: "__guest_enter", "__guest_exit" or the host save.
  let place: String
  let question: CodeCheck.Question
  let rule: String
  /// The changed instructions by their index from `place` on.
  let change: @Sendable ([UInt32]) -> [Int: UInt32]
}

private func isMSR(_ word: UInt32) -> Bool { word & 0xffff_f000 == 0xd518_2000 }
private func isMRS(_ word: UInt32) -> Bool { word & 0xffff_f000 == 0xd538_2000 }
/// LDP and STP of two 64-bit registers, signed offset.
private func isLDP(_ word: UInt32) -> Bool { word & 0xffc0_0000 == 0xa940_0000 }
private func isSTP(_ word: UInt32) -> Bool { word & 0xffc0_0000 == 0xa900_0000 }

extension [UInt32] {
  fileprivate func indices(_ isWanted: (UInt32) -> Bool) -> [Int] {
    indices.filter { isWanted(self[$0]) }
  }
  /// The CBZ in front of the first key access.
  fileprivate var guardBranch: Int {
    let first = firstIndex { isMSR($0) || isMRS($0) } ?? 0
    return self[..<first].lastIndex { $0 & 0xff00_0000 == 0xb400_0000 } ?? 0
  }
  /// ADD Xb, Xctx, #slots before the key access of that number among those that `isWanted`.
  fileprivate func base(before index: Int) -> Int {
    self[..<index].lastIndex { $0 & 0xffc0_0000 == 0x9100_0000 } ?? 0
  }
}

private let faults: [Fault] = [
  Fault(
    testDescription: "enter: one key is not written", place: "__guest_enter", question: .keySet,
    rule: "partial-key-set"
  ) { [$0.indices(isMSR)[9]: nop] },
  Fault(
    testDescription: "enter: LO and HI swapped", place: "__guest_enter", question: .keySet,
    rule: "partial-key-set"
  ) { words in
    let at = words.indices(isMSR)
    return [at[2]: words[at[2]] ^ 0x20, at[3]: words[at[3]] ^ 0x20]
  },
  Fault(
    testDescription: "enter: a pair from the wrong slot", place: "__guest_enter", question: .keySet,
    rule: "partial-key-set"
  ) { words in
    // LDP x1, x2, [x0, #0x10] becomes #0x20.
    let load = words.indices(isMSR)[2] - 1
    return [load: words[load] & ~(0x7f << 15) | 4 << 15]
  },
  Fault(
    testDescription: "enter: the guard is always false", place: "__guest_enter", question: .keySet,
    rule: "missed-guest-restore"
  ) { words in [words.guardBranch: 0x1400_0000 | words[words.guardBranch] >> 5 & 0x7ffff] },
  Fault(
    testDescription: "enter: no guard", place: "__guest_enter", question: .bits,
    rule: "host-key-leak"
  ) { [$0.guardBranch: nop] },
  Fault(
    testDescription: "enter: guard tests API only", place: "__guest_enter", question: .bits,
    rule: "host-key-leak"
  ) { words in [words.guardBranch - 1: words[words.guardBranch - 1] & 0xffc0_03ff | 0x0057_0000] },
  Fault(
    testDescription: "enter: wrong base", place: "__guest_enter", question: .base,
    rule: "missed-guest-restore"
  ) { words in
    let base = words.base(before: words.indices(isMSR)[0])
    return [base: words[base] + 8 << 10]
  },
  Fault(
    testDescription: "exit: no guest key is stored", place: "__guest_exit", question: .keySet,
    rule: "missed-guest-save"
  ) { words in
    let reads = words.indices(isMRS)
    let stores = words.indices(isSTP).filter { $0 > reads[0] && $0 <= reads[9] + 1 }
    return Dictionary(uniqueKeysWithValues: stores.map { ($0, nop) })
  },
  Fault(
    testDescription: "exit: APGA is not stored", place: "__guest_exit", question: .keySet,
    rule: "partial-key-set"
  ) { [$0.indices(isMRS)[9] + 1: nop] },
  Fault(
    testDescription: "exit: one register is not read", place: "__guest_exit", question: .keySet,
    rule: "partial-key-set"
  ) { [$0.indices(isMRS)[5]: nop] },
  Fault(
    testDescription: "exit: no isb", place: "__guest_exit", question: .isb, rule: "missing-isb"
  ) { words in
    let last = words.indices(isMSR)[9]
    return [words[last...].firstIndex(of: 0xd503_3fdf) ?? 0: nop]
  },
  Fault(
    testDescription: "exit: no guard", place: "__guest_exit", question: .bits, rule: "host-key-leak"
  ) { [$0.guardBranch: nop] },
  Fault(
    testDescription: "exit: restores the guest's own slots", place: "__guest_exit", question: .base,
    rule: "missed-host-restore"
  ) { words in
    // ADD x3, x2, #slots becomes ADD x3, x1, #slots.
    let base = words.base(before: words.indices(isMSR)[0])
    return [base: words[base] & ~(31 << 5) | 1 << 5]
  },
  Fault(
    testDescription: "exit: saves to the wrong base", place: "__guest_exit", question: .base,
    rule: "missed-guest-save"
  ) { words in
    let base = words.base(before: words.indices(isMRS)[0])
    return [base: words[base] + 16 << 10]
  },
  Fault(
    testDescription: "exit: the exit code is overwritten", place: "__guest_exit",
    question: .registers, rule: "missed-host-restore"
  ) { words in
    let save = words.indices(isMSR)[9]
    let load = words[..<save].lastIndex(where: isLDP) ?? 0
    // LDP x4, x5 and MSR x4 become LDP x0, x5 and MSR x0.
    return [load: words[load] & ~31, save - 1: words[save - 1] & ~31]
  },
]

@Suite("Audit of the key switch")
struct AuditTests {
  @Test(
    "nothing fails in an unmodified kernel, and all of it is judged",
    arguments: RecordedKernel.present)
  func unmodified(kernel: RecordedKernel) throws {
    let audit = try kernel.open().audit()
    #expect(audit.failures.isEmpty, "\(audit.failures)")
    #expect(audit.verdict == .pass)
    for question in CodeCheck.Question.allCases {
      #expect(audit.checks.contains { $0.question == question }, "\(question)")
    }
    // From 5.9 on there are two copies, each with its own answers.
    let saves = audit.checks.filter { $0.question == .keySet && $0.outcome == .pass }
    #expect(saves.count == (kernel == .v7 ? 3 : 6))
    #expect(audit.sites.allSatisfy { $0.user != .unknown }, "\(audit.sites)")
    #expect(
      audit.checks.contains { $0.question == .preemption && $0.outcome == .note } == (kernel == .v7)
    )
  }

  /// reference-model.md counts 130 and 156 accesses in the Debian images of this series.
  @Test(
    "every access is found, and those of the guest switch are ten and twenty",
    arguments: RecordedKernel.present)
  func inventory(kernel: RecordedKernel) throws {
    let sites = try kernel.open().audit().sites
    let count = sites.reduce(0) { $0 + $1.reads.count + $1.writes.count }
    switch kernel {
    case .v7: #expect(count == 58)
    case .debian61: #expect(count == 130)
    case .debian612: #expect(count == 156)
    }
    for site in sites where site.user == .guestSwitch {
      #expect(site.reads.count == 10 && site.writes.count == 20)
      #expect(Set(site.reads).count == 10 && Set(site.writes).count == 10)
    }
  }

  @Test(
    "each planted fault changes one answer, and no other",
    arguments: [("v7", ""), ("deb-6.1", "__kvm_nvhe_")])
  func planted(name: String, prefix: String) throws {
    let recorded = try #require(RecordedKernel(rawValue: name))
    let kernel = try PatchedKernel(recorded)
    for fault in faults {
      let (address, words) = try kernel.words(from: prefix + fault.place, count: 100)
      let changes = fault.change(words)
      #expect(!changes.isEmpty)
      var placed: [UInt64: UInt32] = [:]
      for (index, word) in changes {
        #expect(words[index] != word, "\(fault.testDescription)")
        placed[address + UInt64(index) * 4] = word
      }
      try kernel.audit(with: placed) { image in
        let failures = try image.audit().failures
        let found = failures.map { "\($0.question.rawValue) \($0.rule?.id ?? "-")" }
        #expect(
          Set(found) == ["\(fault.question.rawValue) \(fault.rule)"],
          "\(name) \(prefix)\(fault.testDescription): \(failures.map { ($0.place, $0.statement) })")
        let isNVHE = failures.allSatisfy { $0.place.contains("(nVHE)") }
        #expect(isNVHE == !prefix.isEmpty)
      }
    }
  }

  @Test("a host save that loses a store, a key or its clear", arguments: ["v7", "deb-6.1"])
  func hostSave(name: String) throws {
    let recorded = try #require(RecordedKernel(rawValue: name))
    let kernel = try PatchedKernel(recorded)
    let place = recorded == .v7 ? "kvm_arm_vcpu_ptrauth_trap" : "kvm_hyp_handle_ptrauth"
    let (address, words) = try kernel.words(from: place, count: 64)
    let reads = words.indices(isMRS)
    #expect(reads.count == 10)
    // STR of a 64-bit register behind the fourth read.
    let store = try #require(words[reads[3]...].firstIndex { $0 & 0xffc0_0000 == 0xf900_0000 })
    for change in [store, reads[6]] {
      try kernel.audit(with: [address + UInt64(change) * 4: nop]) { image in
        let failures = try image.audit().failures
        #expect(failures.map(\.question) == [.hostSave], "\(failures)")
        #expect(failures.first?.rule?.id == "partial-key-set")
      }
    }
  }

  @Test("a load that does not clear the bits", arguments: ["v7", "deb-6.1"])
  func load(name: String) throws {
    let recorded = try #require(RecordedKernel(rawValue: name))
    let kernel = try PatchedKernel(recorded)
    let place = recorded == .v7 ? "kvm_arm_vcpu_ptrauth_disable" : "kvm_arch_vcpu_load"
    let (address, words) = try kernel.words(from: place, count: recorded == .v7 ? 6 : 300)
    // AND Xd, Xn, #0xfffffcffffffffff, and the mask alone made useless.
    let mask = try #require(words.firstIndex { $0 & 0xffff_fc00 == 0x9256_f400 })
    try kernel.audit(with: [address + UInt64(mask) * 4: nop]) { image in
      let failures = try image.audit().failures
      #expect(failures.map(\.rule?.id) == ["stale-enable"], "\(failures)")
    }
  }

  @Test("the kernel without a symbol table, and one without KVM, are refused in words")
  func refusals() throws {
    let scratch = try Scratch()
    let path = try SyntheticKernel.build(
      source: "void kvm_arch_vcpu_load(void) {}", flags: [], in: scratch.path)
    func code(_ path: String) throws -> KernelImageError.Code? {
      let image = try KernelImage(path: path)
      do throws(KernelImageError) {
        _ = try image.audit()
        return nil
      } catch {
        return error.code
      }
    }
    #expect(try code(path) == .noKVM)
    try run("llvm-objcopy", ["--strip-all", path, scratch.path + "/stripped"])
    #expect(try code(scratch.path + "/stripped") == .noSymbols)
  }
}
