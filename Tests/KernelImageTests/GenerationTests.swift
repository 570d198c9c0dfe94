import KernelImage
import Ptrauth
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

  @Test("a named generation is held against the marks; what they cannot tell apart is allowed")
  func allowed() throws {
    let evidence = try RecordedKernel.debian61.open().generationEvidence()
    #expect(evidence.marked == .g5)
    let allowed = Generation.all.filter(evidence.allows).map(\.name)
    #expect(allowed == ["5.16", "6.5"])
    let v7 = try RecordedKernel.v7.open().generationEvidence()
    #expect(Generation.all.filter(v7.allows).map(\.name) == ["v7"])
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
