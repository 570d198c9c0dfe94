import KernelImage
import Testing

@Suite("Generations of recorded kernels")
struct GenerationTests {
  @Test(
    "the generation is the one the recordings' README names",
    arguments: RecordedKernel.present)
  func recognised(kernel: RecordedKernel) throws {
    let evidence = try kernel.open().generationEvidence()
    #expect(evidence.generation == kernel.generation, "\(evidence.marks)")
    #expect(evidence.marks.count > 10)
    #expect(evidence.marks.allSatisfy { $0.consistent && $0.outcome != .undecidable })
  }

  @Test(
    "kernel pointer authentication is what the kernel's config says",
    .enabled(if: RecordedKernel.areDescribed, RecordedKernel.missing),
    arguments: RecordedKernel.present)
  func kernelPointerAuth(kernel: RecordedKernel) throws {
    let config = try kernel.text(of: "config")
    let expected = config.split(separator: "\n").contains("CONFIG_ARM64_PTR_AUTH_KERNEL=y")
    #expect(try kernel.open().kernelUsesPointerAuth == expected)
  }
}
