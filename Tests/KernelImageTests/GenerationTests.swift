import KernelImage
import Testing

@Suite(
  "Generations of recorded kernels", .enabled(if: RecordedKernel.isPresent, RecordedKernel.missing))
struct GenerationTests {
  @Test(
    "the generation is the one the recordings' README names",
    arguments: [
      (RecordedKernel.v7, "v7"), (.debian61, "5.16"), (.debian612, "6.10"),
    ])
  func recognised(kernel: RecordedKernel, generation: String) throws {
    let evidence = try kernel.open().generationEvidence()
    #expect(evidence.generation == generation, "\(evidence.marks)")
    #expect(evidence.marks.count > 10)
    #expect(evidence.marks.allSatisfy { $0.consistent && $0.outcome != .undecidable })
  }

  @Test(
    "kernel pointer authentication is what the kernel's config says",
    arguments: RecordedKernel.allCases)
  func kernelPointerAuth(kernel: RecordedKernel) throws {
    let config = try kernel.text(of: "config")
    let expected = config.split(separator: "\n").contains("CONFIG_ARM64_PTR_AUTH_KERNEL=y")
    #expect(try kernel.open().kernelUsesPointerAuth == expected)
  }
}
