import KernelImage
import Ptrauth
import Testing

/// Sets and dictionaries have another order in each process: nothing that is said may rest on it.
@Suite("The same answer in every process")
struct StableOrderTests {
  /// TBZ X0, #1, one instruction on, RET, seven times; at last RET.
  private func ladder() throws -> (scratch: Scratch, image: KernelImage) {
    let scratch = try Scratch()
    let body = (1...7).map { "tbz x0, #\($0), 1f\\nret\\n1:\\n" }.joined() + "ret"
    let path = try SyntheticKernel.build(
      source: "__attribute__((naked)) void kvm_arch_vcpu_load(void) { asm(\"\(body)\"); }",
      flags: [], in: scratch.path)
    return (scratch, try KernelImage(path: path))
  }

  @Test("paths are listed as they were walked")
  func ends() throws {
    let (scratch, image) = try ladder()
    _ = scratch
    let start = try #require(image.addresses(of: "kvm_arch_vcpu_load").first)
    let function = try #require(image.function(at: start))
    let walk = AuditSubject(image, nil).walk.walk(from: start, in: function)
    // The last fork comes first: not zero returns at once, zero goes on.
    let returns = walk.ends.map { Int($0.state.pc - start) / 4 }
    #expect(returns == [1, 3, 5, 7, 9, 11, 13, 14])
  }

  @Test("ways that pass the same places are told apart by what they say")
  func equalWays() {
    let pcs: [UInt64] = [8, 4, 8, 4, 8]
    let ends = pcs.enumerated().map { index, pc in
      WalkEnd(kind: index < 2 ? .returns : .leaves(UInt64(16 - index)), state: WalkState(at: pc))
    }
    let ordered = ends.inOrder
    #expect(ordered.map(\.state.pc) == [4, 4, 8, 8, 8])
    #expect(ends.reversed().inOrder.map { "\($0.kind)" } == ordered.map { "\($0.kind)" })
  }

  @Test("of two words at one offset the same one comes first, whatever else is in memory")
  func words() {
    let key = KeyRegister.allCases[0]
    for more in 0..<64 {
      var state = WalkState(at: 0)
      let places: [Symbol] = [.perCPU, .argument(0), .result(of: 8), .result(of: 16)]
      for symbol in more % 2 == 0 ? places : places.reversed() {
        state.memory[Address(symbol: symbol, offset: 8)] = .key(key)
      }
      // Other sizes of the table are other orders.
      for other in 0..<more {
        state.memory[Address(symbol: .stack, offset: Int64(other))] = .constant(0)
      }
      #expect(
        state.keyWords.map(\.address.symbol)
          == [.argument(0), .perCPU, .result(of: 16), .result(of: 8)])
    }
  }

  /// A bare `.max - 256` is an Int to Swift 6.2, and a kernel's addresses are beyond: no alternative was left, and
  /// nothing could be judged.
  @Test("no alternative of a kernel is left out", arguments: RecordedKernel.present)
  func alternatives(kernel: RecordedKernel) throws {
    let image = try kernel.open()
    let table = try #require(image.section(named: ".altinstructions"))
    let count = image.alternatives.entries.values.reduce(0) { $0 + $1.count }
    // Entries of 12 bytes.
    #expect(count == table.bytes.count / 12)
  }
}
