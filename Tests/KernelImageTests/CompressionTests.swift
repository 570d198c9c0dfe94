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

  @Test("DWARF in packed sections gives the same answers")
  func packedSections() throws {
    let scratch = try Scratch()
    let plainPath = try SyntheticKernel.build(SyntheticKernel.releases[2].marks, in: scratch.path)
    let packed = plainPath + ".packed"
    try run("llvm-objcopy", ["--compress-debug-sections=zlib", plainPath, packed])
    #expect(try readBytes(packed).count < readBytes(plainPath).count)
    let images = try [plainPath, packed].map { try KernelImage(path: $0) }
    let load = try #require(images[0].addresses(of: "kvm_arch_vcpu_load").first)
    let slot = "kvm_vcpu.arch.ctxt.sys_regs[APIAKEYLO_EL1]"
    #expect(
      try images[1].offset(of: slot, from: .dwarf) == images[0].offset(of: slot, from: .dwarf))
    #expect(images[0].sourceLocation(of: load) != nil)
    #expect(images[1].sourceLocation(of: load) == images[0].sourceLocation(of: load))
    #expect(images[1].declaration(ofFunctionAt: load) == images[0].declaration(ofFunctionAt: load))
  }
}
