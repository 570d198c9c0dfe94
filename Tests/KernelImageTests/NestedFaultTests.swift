import KernelImage
import Ptrauth
import Testing

/// What an L2 guest gets: its API and APK, and where its traps go.
@Suite("Audit of nested guests")
struct NestedFaultTests {
  private static let both: UInt64 = 3 << 40

  @Test(
    "unmodified kernels pass, and what has no L2 guest is not asked",
    arguments: CodeKernel.all.indices.filter { CodeKernel.all[$0].isPresent })
  func unmodified(index: Int) throws {
    let kernel = CodeKernel.all[index]
    let scratch = try Scratch()
    let image = try KernelImage(path: kernel.unpacked(in: scratch))
    let questions: [CodeCheck.Question] = [.nested, .forwarding, .identity]
    let checks = try image.audit(asking: Set(questions)).checks
      .filter { questions.contains($0.question) }
    let nested: CodeCheck.Outcome = kernel.generation == "6.10" ? .pass : .notApplicable
    #expect(checks.map(\.outcome) == [nested, nested, .pass], "\(checks.map(\.statement))")
    // Not every load comes through: no finding of a run.
    #expect(checks.allSatisfy { $0.part == .elsewhere })
  }

  @Test("an L2 guest whose bits are not L1's, masked, fails; so does one for which no key is saved")
  func bits() throws {
    let subject = try ChangedFunction("6.12", "kvm_arch_vcpu_load")
    #expect(try subject.answers(.nested, [:]).allSatisfy { $0.hasPrefix("pass") })
    let words = subject.words
    // ORR Xd, Xn, Xm behind AND Xm, Xm, #both and AND Xn, Xn, #~both.
    let merge = try subject.first {
      if case .logicalRegister(.or, _, let n, _, .shiftedLeft(0), false, true) = $0 {
        n < 31
      } else {
        false
      }
    }
    let mask = try #require(
      subject.code[..<merge].lastIndex {
        if case .logicalImmediate(.and, _, _, Self.both, true) = $0 { true } else { false }
      })
    let clear = try #require(
      subject.code[..<merge].lastIndex {
        if case .logicalImmediate(.and, _, _, ~Self.both, true) = $0 { true } else { false }
      })
    let test = try #require(
      subject.code[merge...].firstIndex {
        if case .logicalImmediate(.andSettingFlags, 31, _, Self.both, true) = $0 {
          true
        } else {
          false
        }
      })
    // ADD Xd, vcpu, #slot of HCR_EL2, the last of several, and the page's: +0x78.
    let slot = try #require(
      subject.code.indices.last { index in
        guard case .addImmediate(_, 19, 2240, true, false) = subject.code[index] else {
          return false
        }
        return words[index] & 31 == 20
      })
    let page = try #require(
      subject.code.indices.last { index in
        if case .addImmediate(20, 20, 0x78, true, false) = subject.code[index] {
          true
        } else {
          false
        }
      })
    let number = try subject.first {
      if case .moveConstant(1, 144) = $0 { true } else { false }
    }
    let differ = "fail nested-bits-differ"
    // AND Xd, Xn, #1 << 41, and #1 << 40.
    let (onlyAPI, onlyAPK): (UInt32, UInt32) = (0x9257_0000, 0x9258_0000)
    let faults: [(String, [Int: UInt32], String)] = [
      ("not masked", [mask: nop], "\(differ): L1's HCR_EL2 is not masked"),
      ("API alone", [mask: words[mask] & 0x3ff | onlyAPI], "\(differ): of L1's API and APK only"),
      ("APK alone", [mask: words[mask] & 0x3ff | onlyAPK], "\(differ): of L1's API and APK only"),
      ("another slot", [slot: words[slot] + 8 << 10], "\(differ): an L2 guest's bits come from"),
      (
        "another register of the page", [page: words[page] + 8 << 10],
        "\(differ): an L2 guest's bits come from"
      ),
      (
        "another register, asked for", [number: words[number] + 1 << 5],
        "\(differ): an L2 guest's bits are those of another register"
      ),
      ("bits from before", [clear: nop], "\(differ): API and APK from before stay"),
      ("no bits at all", [merge: 0xaa00_03e0 | 0 << 16], "\(differ): an L2 guest gets neither"),
      (
        "no save, whatever L1 set",
        [
          test + 1: 0x1400_0000 | words[test + 1] >> 5 & 0x7ffff
            | (words[test + 1] & 0x80_0000 != 0 ? 0x3f8_0000 : 0)
        ], "fail missed-host-save: L1's bits are taken"
      ),
      (
        "the test turned around", [test + 1: words[test + 1] ^ 1],
        "fail missed-host-save: L1's bits are taken"
      ),
      (
        "saves if API is set alone", [test: words[test] & 0x3ff | 0xf257_001f],
        "fail missed-host-save: L1's bits are taken"
      ),
    ]
    for (description, changes, expected) in faults {
      let found = try subject.answers(.nested, changes)
      #expect(found.contains { $0.hasPrefix(expected) }, "\(description): \(found)")
    }
    // A branch that is never taken: what is not reached is not judged.
    let reached = try subject.answers(.nested, [merge + 1: nop])
    #expect(reached.allSatisfy { $0.hasPrefix("cannot judge") }, "\(reached)")
  }

  @Test("a ptrauth trap of an L2 guest that does not go to L1 fails")
  func traps() throws {
    let subject = try ChangedFunction("6.12", "kvm_handle_ptrauth")
    #expect(try subject.answers(.forwarding, [:]).allSatisfy { $0.hasPrefix("pass") })
    let words = subject.words
    let toL1 = try #require(subject.image.addresses(of: "kvm_inject_nested_sync").first)
    let undefined = try #require(subject.image.addresses(of: "kvm_inject_undefined").first)
    let call = try subject.first { $0 == .call(toL1) }
    func branch(_ index: Int, _ target: UInt64) -> UInt32 {
      let place = subject.address + UInt64(index) * 4
      return 0x9400_0000
        | UInt32(truncatingIfNeeded: Int64(bitPattern: target &- place) / 4) & 0x3ff_ffff
    }
    // LDR X1, [vcpu, #esr_el2]; MOV X0, vcpu.
    let syndrome = try #require(
      subject.code[..<call].lastIndex {
        if case .load(let access) = $0 { access.first == 1 } else { false }
      })
    let argument = call - 1
    // TST W, #0x80: HAS_EL2; TBZ W, #2: the flag.
    let tests = subject.code.indices.filter {
      if case .logicalImmediate(.andSettingFlags, 31, _, 0x80, _) = subject.code[$0] {
        true
      } else {
        false
      }
    }
    let flag = try subject.first { if case .testBranch(_, 2, _, _) = $0 { true } else { false } }
    #expect(tests.count == 2)
    let differ = "fail nested-bits-differ: "
    let faults: [(String, [Int: UInt32], String)] = [
      ("UNDEF instead", [call: branch(call, undefined)], "every way ends in an UNDEF"),
      ("nothing injected", [call: nop], "a way goes back to the L2 guest with nothing injected"),
      ("another syndrome", [syndrome: words[syndrome] + 1 << 10], "L1 gets another syndrome"),
      ("no syndrome", [syndrome: 0xd280_0001], "L1 gets another syndrome"),
      ("another vCPU", [argument: 0xf940_0260], "the exception is injected into another vCPU"),
      ("without EL2", [tests[0] + 1: words[tests[0] + 1] ^ 1], "a trap of a vCPU without EL2"),
      ("without ptrauth", [flag: words[flag] ^ 0x0100_0000], "a trap of a vCPU without ptrauth"),
    ]
    for (description, changes, expected) in faults {
      let found = try subject.answers(.forwarding, changes)
      #expect(found.contains { $0.hasPrefix(differ + expected) }, "\(description): \(found)")
    }
  }
}

extension ChangedFunction {
  fileprivate func answers(
    _ question: CodeCheck.Question, _ changes: [Int: UInt32]
  ) throws -> [String] {
    try checks([question], changes)
      .map { "\($0.outcome.rawValue) \($0.rule?.id ?? "-"): \($0.statement)" }
  }
}
