import KernelImage
import Testing

@Suite("Constructed kernels")
struct SyntheticKernelTests {
  private func open(_ marks: SyntheticKernel.Marks, _ scratch: Scratch) throws -> KernelImage {
    try KernelImage(path: SyntheticKernel.build(marks, in: scratch.path))
  }

  @Test("each release is recognised", arguments: SyntheticKernel.releases.indices)
  func generations(index: Int) throws {
    let scratch = try Scratch()
    let (release, generation, marks) = SyntheticKernel.releases[index]
    let image = try open(marks, scratch)
    let evidence = image.generationEvidence()
    #expect(evidence.generation == generation, "\(release): \(evidence.marks.filter(\.found))")
    #expect(evidence.marks.allSatisfy { $0.consistent })
    #expect(image.kernelUsesPointerAuth == marks.signedReturns)
  }

  @Test("marks of two generations name neither")
  func contradiction() throws {
    let scratch = try Scratch()
    let marks = SyntheticKernel.Marks(
      trapHandler: true, hostContextPointer: true, saveAtLoad: true, hypHandler: true,
      eretEmulation: true, nvheCopy: true, hypContext: true)
    let evidence = try open(marks, scratch).generationEvidence()
    #expect(evidence.generation == nil)
    #expect(
      evidence.marks.contains { $0.description == "symbol kvm_hyp_handle_ptrauth" && $0.found })
  }

  @Test("a single odd mark is flagged, and does not hide a clear generation")
  func singleOddMark() throws {
    let scratch = try Scratch()
    var marks = try #require(SyntheticKernel.releases.first { $0.release == "v7 on 5.0" }).marks
    marks.eretEmulation = true
    let evidence = try open(marks, scratch).generationEvidence()
    #expect(evidence.generation == "v7")
    #expect(
      evidence.marks.filter { !$0.consistent }.map(\.description) == ["symbol kvm_auth_eretax"])
  }

  @Test("a file without KVM has no generation")
  func noKVM() throws {
    let scratch = try Scratch()
    try write(Array("void _start(void) {}".utf8), to: scratch.path + "/x.c")
    try run(
      "clang",
      ["--target=aarch64-linux-gnu", "-ffreestanding", "-c", "x.c", "-o", "x.o"].map {
        $0.hasPrefix("x.") ? "\(scratch.path)/\($0)" : $0
      })
    try run("ld.lld", [scratch.path + "/x.o", "-o", scratch.path + "/x"])
    let image = try KernelImage(path: scratch.path + "/x")
    #expect(image.generationEvidence().generation == nil)
    #expect(image.kernelUsesPointerAuth == nil)
    #expect(!image.hasDWARF && image.buildID == nil)
  }

  @Test("anonymous members, arrays of arrays, bit fields, enumerators of any size")
  func layouts() throws {
    let scratch = try Scratch()
    let image = try open(SyntheticKernel.Marks(), scratch)
    let union: UInt64 = 8 * (4 + 251)
    #expect(try image.offset(of: "kvm_vcpu_arch.first") == union)
    #expect(try image.offset(of: "kvm_vcpu_arch.third") == union + 4)
    #expect(try image.offset(of: "kvm_vcpu_arch.matrix") == union + 8)
    #expect(try image.offset(of: "kvm_vcpu_arch.matrix[2][1]") == union + 8 + 36)
    #expect(try image.offset(of: "kvm_vcpu_arch.matrix[2]") == union + 8 + 32)
    #expect(!image.hasMember("kvm_vcpu_arch.matrix[3][0]"))
    #expect(!image.hasMember("kvm_vcpu_arch.matrix[0][0][0]"))
    #expect(!image.hasMember("kvm_vcpu_arch.bits"))
    let flexible = try image.offset(of: "kvm_vcpu_arch.flexible")
    #expect(try image.offset(of: "kvm_vcpu_arch.flexible[10]") == flexible + 40)
    #expect(try image.offset(of: "kvm_vcpu.arch.ctxt.sys_regs[APIAKEYLO_EL1]") == 8 + 32 + 1600)
    #expect(image.enumerator("APIAKEYLO_EL1") == 200)
    #expect(image.enumerator("NEGATIVE", in: "odd") == -3)
    #expect(image.enumerator("LARGE", in: "odd") == 0x1_2345_6789)
  }
}
