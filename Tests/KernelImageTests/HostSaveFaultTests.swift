import KernelImage
import Ptrauth
import Testing

/// STR of a 64-bit register, unsigned offset.
private func isSTR(_ word: UInt32) -> Bool { word & 0xffc0_0000 == 0xf900_0000 }

/// ORR Xd, Xn, #0x30000000000, or MOVZ Xd, #0x300, LSL #32 in front of an ORR, with API left out.
private func halved(_ word: UInt32) -> UInt32? {
  if word & 0xffff_fc00 == 0xb258_0400 { return word & 0xffc0_03ff | 0x0057_0000 }
  if word & 0xffff_ffe0 == 0xd2c0_6000 { return 0xd2c0_2000 | word & 31 }
  return nil
}

extension RecordedKernel {
  /// Where the host's keys are saved.
  fileprivate var saver: String {
    switch self {
    case .v7: "kvm_arm_vcpu_ptrauth_trap"
    case .debian61: "kvm_hyp_handle_ptrauth"
    case .debian612: "kvm_arch_vcpu_load"
    }
  }
}

/// Faults in C code: the host save, and where API and APK are set and cleared.
@Suite("Audit of the host save")
struct HostSaveFaultTests {
  private func failures(
    _ kernel: PatchedKernel, _ address: UInt64, _ changes: [Int: UInt32]
  ) throws -> [String] {
    var placed: [UInt64: UInt32] = [:]
    for (index, word) in changes { placed[address + UInt64(index) * 4] = word }
    return try kernel.audit(with: placed) { image in
      try image.audit().failures.map {
        "\($0.question.rawValue) \($0.rule?.id ?? "-") \($0.place)"
      }
    }
  }

  /// The reads of the ten registers from a symbol on, and the store that follows each.
  private func save(
    _ kernel: PatchedKernel, _ function: String
  ) throws -> (address: UInt64, words: [UInt32], reads: [Int], stores: [Int]) {
    let (address, all) = try kernel.words(from: function, count: 400)
    let reads = Array(all.indices(isMRS).prefix(10))
    #expect(reads.count == 10)
    // The compiler may move a store behind later reads: by register, up to the next write of it.
    let stores = try reads.map { read in
      try #require(
        all[(read + 1)...].firstIndex { isSTR($0) && $0 & 31 == all[read] & 31 })
    }
    #expect(Set(stores).count == 10)
    return (address, all, reads, stores)
  }

  @Test(
    "a save that loses a store, a read or a slot, swaps a pair, or has another base",
    arguments: RecordedKernel.present)
  func hostSave(recorded: RecordedKernel) throws {
    let kernel = try PatchedKernel(recorded)
    let (address, words, reads, stores) = try save(kernel, recorded.saver)
    let partial = ["S8 partial-key-set \(recorded.saver)"]
    let (a, b) = (reads[4], reads[5])
    let faults: [(String, [Int: UInt32], [String])] = [
      ("a store is missing", [stores[3]: nop], partial),
      ("a read is missing", [reads[6]: nop], partial),
      ("LO and HI are swapped", [a: words[a] ^ 0x20, b: words[b] ^ 0x20], partial),
      ("a key at another's slot", [stores[9]: words[stores[9]] - 2 << 10], partial),
      (
        "ten stores, 8 bytes off",
        Dictionary(uniqueKeysWithValues: stores.map { ($0, words[$0] + 1 << 10) }),
        ["S8 missed-host-save \(recorded.saver)"]
      ),
    ]
    for (description, changes, expected) in faults {
      let found = try failures(kernel, address, changes)
      #expect(found == expected, "\(recorded): \(description): \(found)")
    }
  }

  @Test("a load that does not clear the bits", arguments: [RecordedKernel.v7, .debian61])
  func load(recorded: RecordedKernel) throws {
    let kernel = try PatchedKernel(recorded)
    let place = recorded == .v7 ? "kvm_arm_vcpu_ptrauth_disable" : "kvm_arch_vcpu_load"
    let (address, words) = try kernel.words(from: place, count: recorded == .v7 ? 6 : 300)
    // AND Xd, Xn, #0xfffffcffffffffff, and the mask alone made useless.
    let mask = try #require(words.firstIndex { $0 & 0xffff_fc00 == 0x9256_f400 })
    #expect(
      try failures(kernel, address, [mask: nop]) == ["S10 stale-enable kvm_arch_vcpu_load"])
  }

  @Test(
    "a handler that sets one bit only, or the shadow and not HCR_EL2",
    arguments: [RecordedKernel.v7, .debian61])
  func enable(recorded: RecordedKernel) throws {
    let kernel = try PatchedKernel(recorded)
    let place = recorded == .v7 ? "kvm_arm_vcpu_ptrauth_enable" : recorded.saver
    let (address, words) = try kernel.words(from: place, count: recorded == .v7 ? 8 : 100)
    var half: [Int: UInt32] = [:]
    for index in words.indices { half[index] = halved(words[index]) }
    #expect(!half.isEmpty)
    #expect(
      try failures(kernel, address, half) == ["S10 bits-differ \(recorded.saver)"])
    // MSR HCR_EL2, Xt.
    if let live = words.firstIndex(where: { $0 & 0xffff_ffe0 == 0xd51c_1100 }) {
      #expect(recorded != .v7)
      #expect(
        try failures(kernel, address, [live: nop]) == ["S10 trap-while-enabled \(recorded.saver)"])
    } else {
      #expect(recorded == .v7)
    }
  }
}
