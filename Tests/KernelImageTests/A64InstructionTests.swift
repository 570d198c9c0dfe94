import KernelImage
import Ptrauth
import Testing

/// The audit's table of encodings against the toolchain's disassembler and assembler.
@Suite("AArch64 encodings")
struct A64InstructionTests {
  /// What llvm-objdump prints for each word: mnemonic and operands, one space between.
  private func disassembled(_ words: [UInt32]) throws -> [String] {
    let scratch = try Scratch()
    let source = ".text\n" + words.map { ".inst 0x\(String($0, radix: 16))\n" }.joined()
    try write(Array(source.utf8), to: scratch.path + "/a.s")
    try run(
      "clang",
      [
        "--target=aarch64-linux-gnu", "-march=armv8.5-a", "-c", scratch.path + "/a.s", "-o",
        scratch.path + "/a.o",
      ])
    let text = try run(
      "llvm-objdump",
      ["-d", "--no-show-raw-insn", "--mattr=+v9a,+mte", scratch.path + "/a.o"])
    return text.split(separator: "\n").compactMap { line in
      let halves = line.split(separator: ":", maxSplits: 1)
      guard halves.count == 2, UInt64(halves[0].drop { $0 == " " }, radix: 16) != nil,
        line.hasPrefix(" ")
      else { return nil }
      return halves[1].split { $0 == "\t" || $0 == " " }.joined(separator: " ")
    }
  }

  @Test("every access to every key register, with every general register")
  func keys() throws {
    var words: [UInt32] = []
    for crm in 0..<16 as Range<UInt32> {
      for op2 in 0..<8 as Range<UInt32> {
        for direction in [0xd518_2000, 0xd538_2000] as [UInt32] {
          words.append(direction | crm << 8 | op2 << 5 | (crm + op2) % 31)
        }
      }
    }
    let texts = try disassembled(words)
    #expect(texts.count == words.count)
    for (word, text) in zip(words, texts) {
      let isKey = ["APIA", "APIB", "APDA", "APDB", "APGA"].contains { text.contains($0 + "Key") }
      switch A64Instruction(word, at: 0) {
      case .keyRead(let key, let t):
        #expect(text.uppercased() == "MRS X\(t), \(key.name)", "\(text)")
      case .keyWrite(let key, let t):
        #expect(text.uppercased() == "MSR \(key.name), X\(t)", "\(text)")
      default: #expect(!isKey, "\(text)")
      }
    }
  }

  @Test("every logical immediate of 64 bits and of 32")
  func bitMasks() throws {
    var words: [UInt32] = []
    for n in 0...1 as ClosedRange<UInt32> {
      for immr in stride(from: 0 as UInt32, to: 64, by: 3) {
        for imms in 0..<64 as Range<UInt32> {
          words.append(0x9200_0041 | n << 22 | immr << 16 | imms << 10)
          words.append(0x1200_0041 | n << 22 | immr << 16 | imms << 10)
        }
      }
    }
    let texts = try disassembled(words)
    #expect(texts.count == words.count)
    var valid = 0
    for (word, text) in zip(words, texts) {
      guard case .logicalImmediate(.and, 1, 2, let mask, _) = A64Instruction(word, at: 0) else {
        #expect(!text.hasPrefix("and"), "\(text)")
        continue
      }
      valid += 1
      #expect(text.hasSuffix(", #0x\(String(mask, radix: 16))"), "\(text) \(mask)")
    }
    #expect(valid > 1000)
  }

  @Test("loads, stores, branches and arithmetic are what the assembler made them of")
  func assembled() throws {
    func access(
      _ first: UInt8, _ second: UInt8? = nil, _ base: UInt8, _ offset: Int64?, size: UInt8 = 8,
      writeBack: Int64 = 0
    ) -> A64.Access {
      A64.Access(
        first: first, second: second, base: base, offset: offset, size: size, writeBack: writeBack)
    }
    let expected: [(String, A64Instruction)] = [
      ("ldp x4, x5, [x3, #0x40]", .load(access(4, 5, 3, 0x40))),
      ("stp x4, x5, [x3, #-16]!", .store(access(4, 5, 3, -16, writeBack: -16))),
      ("ldp x2, x3, [sp], #16", .load(access(2, 3, 31, 0, writeBack: 16))),
      ("str x1, [x0, #0x690]", .store(access(1, nil, 0, 0x690))),
      ("ldur x1, [x0, #-8]", .load(access(1, nil, 0, -8))),
      ("ldr x1, [x0], #8", .load(access(1, nil, 0, 0, writeBack: 8))),
      ("ldr x1, [x0, x2, lsl #3]", .load(access(1, nil, 0, nil))),
      ("ldrb w2, [x0, #0x87c]", .load(access(2, nil, 0, 0x87c, size: 1))),
      ("add x3, x1, #0x648", .addImmediate(d: 3, n: 1, 0x648, isWide: true, setsFlags: false)),
      (
        "sub sp, sp, #1, lsl #12",
        .addImmediate(d: 31, n: 31, -4096, isWide: true, setsFlags: false)
      ),
      ("cmp x0, #8", .addImmediate(d: 31, n: 0, -8, isWide: true, setsFlags: true)),
      (
        "orr x0, x0, #0x30000000000",
        .logicalImmediate(.or, d: 0, n: 0, 3 << 40, isWide: true)
      ),
      (
        "and x1, x1, #0xfffffcffffffffff",
        .logicalImmediate(.and, d: 1, n: 1, ~(3 << 40), isWide: true)
      ),
      ("mov x1, #0x30000000000", .moveConstant(1, 3 << 40)),
      (
        "mov x2, x19",
        .logicalRegister(.or, d: 2, n: 31, m: 19, .shiftedLeft(0), isInverted: false, isWide: true)
      ),
      ("movk x0, #0xc600, lsl #16", .moveKeep(0, 0xc600_0000, mask: 0xffff_0000, isWide: true)),
      ("mrs x3, hcr_el2", .readSystem(A64.SystemRegister.hcrEL2, 3)),
      ("msr hcr_el2, x0", .writeSystem(A64.SystemRegister.hcrEL2, 0)),
      ("mrs x1, tpidr_el1", .readSystem(A64.SystemRegister.tpidrEL1, 1)),
      ("mrs x2, tpidr_el2", .readSystem(A64.SystemRegister.tpidrEL2, 2)),
      ("isb", .isb), ("nop", .nop), ("dsb sy", .nop), ("bti c", .nop), ("esb", .nop),
      ("msr daifclr, #4", .nop), ("prfm pstl1strm, [x2]", .nop),
      ("paciasp", .authenticates(.signs)), ("autiasp", .authenticates(.authenticates)),
      ("pacia x1, x2", .authenticates(.signs)), ("autdb x1, x2", .authenticates(.authenticates)),
      ("retaa", .authenticates(.returns)), ("ret", .return), ("eret", .exceptionReturn),
      ("brk #0x800", .trap), ("br x3", .indirectBranch(3)), ("blr x3", .indirectCall(3)),
      (
        "csel x21, x21, xzr, ne",
        .conditionalSelect(d: 21, n: 21, m: 31, .notEqual, isPlain: true, isWide: true)
      ),
      ("sxtw x1, w1", .extend(d: 1, n: 1, bits: 32, isSigned: true, isWide: true)),
      (
        "add x0, x20, x19, lsl #3",
        .addRegister(
          d: 0, n: 20, m: 19, .shiftedLeft(3), isWide: true, isSubtraction: false, setsFlags: false)
      ),
    ]
    let scratch = try Scratch()
    // Branches come last, relative to an address of our choice.
    let source =
      ".arch armv9-a\n.text\n.global _start\n_start:\n"
      + expected.map { $0.0 + "\n" }.joined()
      + "cbz x0, . + 0x40\ntbnz w2, #8, . - 0x20\nb.ne . + 8\nb . + 0x100\nbl . - 0x100\nadrp x2, .\n"
    try write(Array(source.utf8), to: scratch.path + "/a.s")
    try run(
      "clang",
      [
        "--target=aarch64-linux-gnu", "-march=armv8.5-a", "-c", scratch.path + "/a.s", "-o",
        scratch.path + "/a.o",
      ])
    try run("ld.lld", ["-e", "_start", scratch.path + "/a.o", "-o", scratch.path + "/a"])
    let image = try KernelImage(path: scratch.path + "/a")
    let start = try #require(image.addresses(of: "_start").first)
    let words = try #require(image.code(at: start, count: expected.count + 6))
    for (index, (text, instruction)) in expected.enumerated() {
      #expect(A64Instruction(words[index], at: start + UInt64(index) * 4) == instruction, "\(text)")
    }
    let at = { (index: Int) in start + UInt64(expected.count + index) * 4 }
    let decoded = (0..<6).map { A64Instruction(words[expected.count + $0], at: at($0)) }
    #expect(decoded[0] == .compareBranch(t: 0, at(0) + 0x40, ifZero: true, isWide: true))
    #expect(decoded[1] == .testBranch(t: 2, bit: 8, at(1) - 0x20, ifZero: false))
    #expect(decoded[2] == .branchIf(.notEqual, at(2) + 8))
    #expect(decoded[3] == .branch(at(3) + 0x100))
    #expect(decoded[4] == .call(at(4) - 0x100))
    #expect(decoded[5] == .address(2, at(5) & ~0xfff))
  }
}
