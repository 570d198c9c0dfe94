import KernelImage
import Testing

@Suite("Instructions in place of a file's")
struct ReplacedInstructionTests {
  /// BL, from one address to another.
  private func call(_ place: UInt64, _ target: UInt64) -> UInt32 {
    0x9400_0000 | UInt32(truncatingIfNeeded: (target &- place) / 4) & 0x3ff_ffff
  }

  @Test("are the code, and their calls are calls")
  func areTheCode() throws {
    let scratch = try Scratch()
    let marks = try #require(SyntheticKernel.releases.first).marks
    let image = try KernelImage(path: SyntheticKernel.build(marks, in: scratch.path))
    let enter = try #require(image.addresses(of: "__guest_enter").first)
    let load = try #require(image.addresses(of: "kvm_arch_vcpu_load").first)
    let before = try #require(image.code(at: enter, count: 4))
    #expect(image.calls(of: load) == [])

    image.replacedInstructions = [enter + 4: call(enter + 4, load), enter - 4: 0]
    #expect(image.calls(of: load) == [enter + 4])
    #expect(
      image.code(at: enter, count: 4) == [before[0], call(enter + 4, load), before[2], before[3]])

    image.replacedInstructions[enter + 4] = nop
    #expect(image.calls(of: load) == [])
  }
}
