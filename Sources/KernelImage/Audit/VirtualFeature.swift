import Ptrauth

/// Where a kernel's code asks whether a vCPU has ptrauth, or an EL2 of its own.
struct VirtualFeature {
  /// A word from the vCPU on, and its bits that say so.
  private let tests: [(word: Address, mask: UInt64)]

  /// What a path assumes of it.
  enum Answer { case present, absent, impossible, unknown }

  private init(_ tests: [(word: Address, mask: UInt64)?]) { self.tests = tests.compactMap(\.self) }

  /// KVM_ARM_VCPU_PTRAUTH_ADDRESS and _GENERIC, 5 and 6 (include/uapi/asm/kvm.h), in the vCPU's features, from 6.14 in
  /// the VM's; in between a flag of the vCPU: bit 7 of flags (5.x), bit 2 of cflags (6.0 to 6.13).
  static func pointerAuth(_ image: KernelImage, vcpu: UInt8) -> VirtualFeature {
    VirtualFeature([
      own("kvm_vcpu.arch.features", image, vcpu, 3 << 5),
      own("kvm_vcpu.arch.flags", image, vcpu, 1 << 7),
      own("kvm_vcpu.arch.cflags", image, vcpu, 1 << 2), shared(image, vcpu, 3 << 5),
    ])
  }

  /// KVM_ARM_VCPU_HAS_EL2, 7.
  static func hypervisor(_ image: KernelImage, vcpu: UInt8) -> VirtualFeature {
    VirtualFeature([
      own("kvm_vcpu.arch.features", image, vcpu, 1 << 7), shared(image, vcpu, 1 << 7),
    ])
  }

  private static func own(
    _ path: String, _ image: KernelImage, _ vcpu: UInt8, _ mask: UInt64
  ) -> (word: Address, mask: UInt64)? {
    guard let offset = try? image.offset(of: path), let offset = Int64(exactly: offset) else {
      return nil
    }
    return (Address(symbol: .argument(vcpu), offset: offset), mask)
  }

  private static func shared(
    _ image: KernelImage, _ vcpu: UInt8, _ mask: UInt64
  ) -> (word: Address, mask: UInt64)? {
    guard let features = try? image.offset(of: "kvm.arch.vcpu_features"),
      let pointer = try? image.offset(of: "kvm_vcpu.kvm"),
      let features = Int64(exactly: features), let pointer = Int64(exactly: pointer)
    else { return nil }
    let kvm = Symbol.word(Address(symbol: .argument(vcpu), offset: pointer))
    return (Address(symbol: kvm, offset: features), mask)
  }

  /// Its 64 bits have some of a test's.
  func covers(_ address: Address) -> Bool {
    tests.contains {
      $0.word.symbol == address.symbol && (-7...7).contains(address.offset &- $0.word.offset)
    }
  }

  /// The code is known to ask somewhere.
  var isKnown: Bool { !tests.isEmpty }

  /// The VM's features alone, where any path asks for them: then the vCPU's flags are others.
  func asked(by ends: [WalkEnd]) -> VirtualFeature {
    let ofVM = tests.filter { if case .word = $0.word.symbol { true } else { false } }
    let isAsked = ends.contains { end in
      end.state.conditions.contains { condition in
        ofVM.contains { Self.zeroBits(condition, of: $0) != nil }
      }
    }
    return isAsked ? VirtualFeature(ofVM) : self
  }

  /// A vCPU has both features or none (KVM_ARM_VCPU_INIT refuses others), so one bit says it. Code asks for either or
  /// for both: ways that take one for set and one for clear are nobody's.
  func answer(_ conditions: Set<WalkCondition>) -> Answer {
    let answers = tests.flatMap { test in conditions.compactMap { Self.zeroBits($0, of: test) } }
    switch (answers.contains(true), answers.contains(false)) {
    case (true, true): return .impossible
    case (true, false): return .absent
    case (false, true): return .present
    case (false, false): return .unknown
    }
  }

  /// Whether a path takes bits of a test for zero; nil: it says nothing of them.
  private static func zeroBits(
    _ condition: WalkCondition, of test: (word: Address, mask: UInt64)
  ) -> Bool? {
    guard case .bits(.word(let address), let mask, let isZero) = condition,
      address.symbol == test.word.symbol
    else { return nil }
    let distance = address.offset &- test.word.offset
    guard (0..<8).contains(distance) else { return nil }
    let bits = mask << UInt64(distance * 8)
    return bits & test.mask != 0 && bits & ~test.mask == 0 ? isZero : nil
  }
}
