import KernelImage
import Testing

/// Lines are read where libdw does not take more for them than they are worth.
@Suite("Line number programs")
struct LineProgramTests {
  /// Version 4, of one file.
  private func program(_ bytes: Int, file: Int = 8, files: Int = 1, folder: Int = 8) -> [UInt8] {
    func text(_ count: Int) -> [UInt8] { [UInt8](repeating: 0x78, count: count) + [0] }
    let entry = text(file) + [1, 0, 0]
    let tables =
      [1, 1, 1, 0xfb, 14, 13] + number(UInt8(1), 12) + text(folder) + [0]
      + Array(repeatElement(entry, count: files).joined()) + [0]
    let body =
      number(UInt16(4)) + number(UInt32(tables.count)) + tables + number(UInt8(1), bytes)
    return number(UInt32(body.count)) + body
  }

  private func cost(_ bytes: [UInt8]) -> Int? {
    unsafe LineProgram(bytes.span.bytes, at: 0, (bytes.span.bytes, bytes.span.bytes))?.cost
  }

  @Test func aProgramCostsItsRowsAndItsNames() throws {
    let small = try #require(cost(program(64 << 10)))
    #expect(small < LineProgram.limit / 16)
    // As in a file of 16 MB.
    #expect(try #require(cost(program(16_000_000))) > LineProgram.limit)
    let names = try #require(cost(program(0, file: 1, files: 200_000, folder: 4000)))
    #expect(names > LineProgram.limit)
  }

  @Test func namesAreAtMostAPathLong() {
    #expect(cost(program(16, file: 4000)) != nil)
    #expect(cost(program(16, file: 5000)) == nil)
    #expect(cost(program(16, folder: 5000)) == nil)
    #expect(cost(Array(program(16).dropLast())) == nil)
    #expect(cost([]) == nil)
  }

  /// By a compiler, in .debug_line_str.
  @Test(arguments: [(200, true), (5000, false)])
  func aLineIsOfAFile(length: Int, isRead: Bool) throws {
    let scratch = try Scratch()
    let name = String(repeating: "x", count: length)
    let source = "#line 7 \"\(name)\"\nvoid kvm_arch_vcpu_load(void) { asm volatile(\"nop\"); }\n"
    let image = try KernelImage(
      path: SyntheticKernel.build(source: source, flags: [], in: scratch.path))
    let address = try #require(image.addresses(of: "kvm_arch_vcpu_load").first)
    #expect((image.sourceLocation(of: address)?.line == 7) == isRead)
    #expect((image.declaration(ofFunctionAt: address) != nil) == isRead)
  }
}
