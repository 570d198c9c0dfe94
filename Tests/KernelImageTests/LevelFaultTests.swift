import KernelImage
import Ptrauth
import Testing

/// Code that does the right thing with the wrong register, word or answer: each instruction is one that such code has.
@Suite("Audit of what else the keys hang on")
struct LevelFaultTests {
  private static let nop: UInt32 = 0xd503_201f

  private struct Kernel {
    let image: KernelImage

    func address(_ name: String) throws -> UInt64 {
      try #require(image.addresses(of: name).first, "\(name) is not in the file")
    }

    /// The first instruction from a symbol on that looks so, and where it is.
    func first(
      _ name: String, _ mask: UInt32, _ value: UInt32
    ) throws -> (place: UInt64, word: UInt32) {
      let start = try address(name)
      let words = try #require(image.code(at: start, count: 128))
      let index = try #require(words.firstIndex { $0 & mask == value }, "none in \(name)")
      return (start + UInt64(index) * 4, words[index])
    }

    /// What is not passed any more, as "question outcome rule".
    func answers(_ changes: [UInt64: UInt32]) throws -> [String] {
      image.replacedInstructions = changes
      defer { image.replacedInstructions = [:] }
      return try image.audit().checks
        .filter { $0.outcome == .fail || $0.outcome == .cannotJudge }
        .map { "\($0.question.rawValue) \($0.outcome.rawValue) \($0.rule?.id ?? "-")" }
    }
  }

  private func kernel(_ kernel: RecordedKernel) throws -> Kernel {
    Kernel(image: try kernel.open())
  }

  /// At EL2 TPIDR_EL1 is the guest's: it would choose where the host's keys come from.
  @Test(arguments: RecordedKernel.present)
  func theGuestsThreadRegister(of name: RecordedKernel) throws {
    let kernel = try kernel(name)
    #expect(try kernel.answers([:]) == [])
    // v7's nVHE copy switches no keys.
    for prefix in ["", "__kvm_nvhe_"] where name != .v7 || prefix.isEmpty {
      let read = try kernel.first(prefix + "__guest_exit", 0xffff_ffe0, 0xd53c_d040)
      let answers = try kernel.answers([read.place: 0xd538_d080 | read.word & 0x1f])
      #expect(answers.contains { $0.hasPrefix("S3 fail") }, "\(prefix): \(answers)")
    }
  }

  /// MSR APIAKEYLO_EL1, MSR APIAKEYHI_EL1 between entry and exit, by code that is none of the switch.
  @Test(arguments: RecordedKernel.present)
  func keysWrittenBesideTheSwitch(of name: RecordedKernel) throws {
    let kernel = try kernel(name)
    for function in ["__activate_traps", "handle_exit"] {
      let start = try kernel.address(function)
      #expect(
        try kernel.answers([start: 0xd518_2100, start + 4: 0xd518_2120])
          == ["S1 cannot judge -"], "\(function)")
    }
  }

  /// AND X2, X1, #~(API | APK) and ORR X2, X1, #(API | APK) in front of MSR HCR_EL2, X2.
  @Test(arguments: [
    (0x9256_f422 as UInt32, "S4 fail trap-while-enabled"), (0xb258_0422, "S4 fail host-key-leak"),
  ])
  func theRegisterIsNotTheShadow(word: UInt32, answer: String) throws {
    let kernel = try kernel(.debian61)
    let write = try kernel.first("__activate_traps", 0xffff_ffff, 0xd51c_1102)
    #expect(kernel.image.code(at: write.place - 4, count: 1) == [0xaa01_03e2])
    #expect(try kernel.answers([write.place - 4: word]) == [answer])
  }

  @Test func theHandlersOfV7() throws {
    let kernel = try kernel(.v7)
    let call = try kernel.first("kvm_handle_ptrauth", 0xfc00_0000, 0x9400_0000)
    #expect(try kernel.answers([call.place: Self.nop]) == ["S10 cannot judge -"])
    // MOV W0, #1 and #0.
    let handled = try kernel.first("kvm_handle_ptrauth", 0xffff_ffff, 0x5280_0020)
    #expect(try kernel.answers([handled.place: 0x5280_0000]) == ["S10 fail feature-denied"])
    let retried = try kernel.first("trap_ptrauth", 0xffff_ffff, 0x5280_0000)
    #expect(try kernel.answers([retried.place: 0x5280_0020]) == ["S10 fail feature-denied"])
  }

  /// One of two tests for the two features, turned around: no vCPU comes to the clear.
  @Test func oneOfTwoFeatures() throws {
    let kernel = try kernel(.v7)
    // TST W1, #0x20 and B.EQ.
    let test = try kernel.first("kvm_arm_vcpu_ptrauth_setup_lazy", 0xffff_ffff, 0x721b_003f)
    let branch = try #require(kernel.image.code(at: test.place + 4, count: 1)?.first)
    #expect(branch & 0xff00_001f == 0x5400_0000)
    #expect(try kernel.answers([test.place + 4: branch ^ 1]) == ["S10 cannot judge -"])
  }

  /// Another word of this CPU than the loaded vCPU's pointer is tested, or handed to __guest_exit.
  @Test(arguments: RecordedKernel.present)
  func anotherVCPUAtAPanic(of name: RecordedKernel) throws {
    let kernel = try kernel(name)
    for prefix in ["", "__kvm_nvhe_"] {
      // LDR X0, [X0, #offset] and LDR X1, [X0, #offset], eight bytes further on.
      for register: UInt32 in [0, 1] {
        let load = try kernel.first(
          prefix + "__guest_exit_panic", 0xffc0_001f, 0xf940_0000 | register)
        #expect(
          try kernel.answers([load.place: load.word + 0x400])
            == ["S14 fail missed-host-restore"], "\(prefix) X\(register)")
      }
    }
  }

  /// CCMP X3, #0, #2, NE; DC CIVAC, X2; HVC #2: what lies where others have their destination is none.
  @Test(arguments: [0xfa40_1862, 0xd50b_7e22, 0xd400_0042] as [UInt32])
  func noDestination(word: UInt32) throws {
    let kernel = try kernel(.debian61)
    let place = try kernel.first("__guest_exit", 0xffff_ffff, Self.nop)
    // (HVC answers in X0 to X3, which are the guest's.)
    #expect(try kernel.answers([place.place: word]).isEmpty == (word >> 24 != 0xd4))
  }
}
