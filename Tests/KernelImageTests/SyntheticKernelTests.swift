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

  @Test("a function is declared where its DWARF says, merged into another or not")
  func declarations() throws {
    let scratch = try Scratch()
    let image = try open(SyntheticKernel.Marks(mergedHandler: true), scratch)
    let source = try readText(scratch.path + "/kernel.c").split(
      separator: "\n", omittingEmptySubsequences: false)
    for (name, words) in [
      ("kvm_arch_vcpu_load", "void kvm_arch_vcpu_load("), ("handle_exit", "void handle_exit("),
      ("kvm_handle_ptrauth", "void kvm_handle_ptrauth("),
    ] {
      let address = try #require(image.addresses(of: name).first)
      let line = try #require(source.firstIndex { $0.contains(words) }) + 1
      let declared = try #require(image.declaration(ofFunctionAt: address), "\(name)")
      #expect(declared.line == line && declared.file.hasSuffix("kernel.c"), "\(name): \(declared)")
    }
    // Inside of a function, and assembly.
    let merged = try #require(image.addresses(of: "kvm_handle_ptrauth").first)
    #expect(image.declaration(ofFunctionAt: merged + 4) == nil)
    let enter = try #require(image.addresses(of: "__guest_enter").first)
    #expect(image.declaration(ofFunctionAt: enter) == nil)
  }

  @Test(
    "file names are relative to the kernel tree, wherever it was built",
    arguments: [
      ("/usr/src/linux", "arch/arm64/kvm/hyp/../arm.c"),
      ("/usr/src/linux", "/usr/src/linux/arch/arm64/kvm/arm.c"),
      ("/usr/src/linux/debian/build/build_arm64", "/usr/src/linux/arch/arm64/kvm/arm.c"),
      ("debian/build/build_arm64_none_arm64", "arch/arm64/kvm/arm.c"),
      ("debian/build/build_arm64_rt_arm64", "debian/build/source_rt/arch/arm64/kvm/arm.c"),
      ("build", "arch/arm64/kvm/arm.c"),
    ])
  func sourcePaths(buildDirectory: String, file: String) throws {
    let scratch = try Scratch()
    let source = "#line 7 \"\(file)\"\nvoid kvm_arch_vcpu_load(void) { asm volatile(\"nop\"); }\n"
    let image = try KernelImage(
      path: SyntheticKernel.build(
        source: source, flags: ["-fdebug-compilation-dir=" + buildDirectory], in: scratch.path))
    let address = try #require(image.addresses(of: "kvm_arch_vcpu_load").first)
    for location in [
      image.declaration(ofFunctionAt: address), image.sourceLocation(of: address),
    ] {
      #expect(location?.description == "arch/arm64/kvm/arm.c:7")
    }
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
