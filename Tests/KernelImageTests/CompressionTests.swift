import KernelImage
import Testing

@Suite("Compression and identity")
struct CompressionTests {
  @Test(
    "the build-id is the recorded one",
    .enabled(if: RecordedKernel.areDescribed, RecordedKernel.missing),
    arguments: RecordedKernel.present)
  func buildID(kernel: RecordedKernel) throws {
    let recorded = try kernel.text(of: "build-id").split(separator: "\n").first
    let own = try kernel.open().buildID.map {
      $0.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
    }
    #expect(own?.joined() == recorded.map(String.init))
  }

  @Test("plain, xz and zstd files give equal answers, whatever they are called")
  func formats() throws {
    let plainPath = try RecordedKernel.v7.plainPath()
    let scratch = try Scratch()
    let packed = scratch.path + "/misnamed.txt"
    try run("/bin/sh", ["-c", "exec xz -0 < '\(plainPath)' > '\(packed)'"])
    let images = try [plainPath, RecordedKernel.v7.compressedPath, packed].map {
      try KernelImage(path: $0)
    }
    let plain = images[0]
    let enter = try #require(plain.addresses(of: "__guest_enter").first)
    let function = try #require(plain.function(at: enter + 8))
    let shadow = "kvm_vcpu.arch.ctxt.hcr_el2"
    for image in images {
      #expect(image.buildID == plain.buildID && image.buildID != nil)
      #expect(image.addresses(of: "__guest_enter") == [enter])
      #expect(image.function(at: enter + 8) == function)
      #expect(image.code(at: enter, count: 40) == plain.code(at: enter, count: 40))
      #expect(try image.offset(of: shadow) == plain.offset(of: shadow))
      #expect(image.sourceLocation(of: enter) == plain.sourceLocation(of: enter))
      #expect(image.generationEvidence() == plain.generationEvidence())
    }
  }
}
