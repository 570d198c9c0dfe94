import KernelImage
import Testing

/// What the analysis and the audit ask of a kernel.
private let used = [
  "kvm_vcpu.vcpu_id", "kvm_vcpu.kvm", "kvm_vcpu.arch.ctxt", "kvm_vcpu.arch.fault.esr_el2",
  "kvm_cpu_context.sys_regs[APIAKEYLO_EL1]", "kvm_cpu_context.sys_regs[APGAKEYHI_EL1]",
  "kvm_vcpu.arch.ctxt.sys_regs[APDBKEYHI_EL1]", "kvm_vcpu.arch.hcr_el2",
  "kvm_vcpu.arch.ctxt.hcr_el2", "kvm_vcpu.arch.host_cpu_context", "kvm_vcpu.arch.features",
  "kvm.arch.vcpu_features", "kvm_vcpu.arch.cflags", "kvm_vcpu.arch.no_such_member",
  "kvm_vcpu.arch.ctxt.sys_regs[NO_SUCH_REGISTER]", "kvm_vcpu.kvm.arch",
  "kvm_vcpu.arch.ctxt.sys_regs.x",
  "no_such_struct.x", "kvm_vcpu.vcpu_id[0]",
]

@Suite("BTF")
struct BTFTests {
  /// The `.BTF` section of a kernel as a file of its own.
  private func section(of path: String, in scratch: Scratch) throws -> String {
    let section = try #require(try KernelImage(path: path).section(named: ".BTF"))
    try write(section.bytes, to: scratch.path + "/btf")
    return scratch.path + "/btf"
  }

  private enum Answer: Equatable {
    case offset(UInt64)
    case refused(KernelImageError.Code)
  }

  private func answer(_ ask: () throws(KernelImageError) -> UInt64) -> Answer {
    do throws(KernelImageError) { return .offset(try ask()) } catch { return .refused(error.code) }
  }

  @Test(
    "BTF, DWARF and a file of BTF alone give one answer", arguments: RecordedKernel.present)
  func agreement(kernel: RecordedKernel) throws {
    let scratch = try Scratch()
    let image = try kernel.open()
    #expect(image.typeFormats == [.btf, .dwarf])
    let file = try BTFFile(path: section(of: kernel.plainPath(), in: scratch))
    for path in used {
      let expected = answer { () throws(KernelImageError) in
        try image.offset(of: path, from: .dwarf)
      }
      #expect(
        answer { () throws(KernelImageError) in try image.offset(of: path, from: .btf) }
          == expected,
        "\(path)")
      #expect(
        answer { () throws(KernelImageError) in try file.offset(of: path) } == expected, "\(path)")
    }
    #expect(try file.size(of: "kvm_vcpu") == image.size(of: "kvm_vcpu", from: .dwarf))
    #expect(file.enumerator("APIAKEYLO_EL1") == image.enumerator("APIAKEYLO_EL1", from: .dwarf))
  }

  @Test("a kernel without DWARF has its offsets and its generation from BTF")
  func withoutDWARF() throws {
    let scratch = try Scratch()
    let path = scratch.path + "/vmlinux"
    try run("llvm-objcopy", ["--strip-debug", try RecordedKernel.v7.plainPath(), path])
    let image = try KernelImage(path: path)
    #expect(image.typeFormats == [.btf])
    #expect(!image.hasDWARF && image.hasBTF)
    let whole = try RecordedKernel.v7.open()
    let shadow = "kvm_vcpu.arch.ctxt.hcr_el2"
    #expect(try image.offset(of: shadow) == whole.offset(of: shadow, from: .dwarf))
    #expect(image.generationEvidence().generation == "v7")
  }

  @Test("what is no BTF is refused in words")
  func refusals() throws {
    let scratch = try Scratch()
    func code(_ bytes: [UInt8]) throws -> KernelImageError.Code? {
      try write(bytes, to: scratch.path + "/f")
      do throws(KernelImageError) {
        _ = try BTFFile(path: scratch.path + "/f")
        return nil
      } catch {
        return error.code
      }
    }
    #expect(try code([]) == .empty)
    #expect(try code(Array("no BTF at all, but long enough for a header".utf8)) == .notBTF)
    #expect(throws: KernelImageError.self) { try BTFFile(path: scratch.path) }
    #expect(throws: KernelImageError.self) { try BTFFile(path: scratch.path + "/none") }
  }

  @Test("damaged BTF is refused or answered, never a crash", arguments: [1, 2, 3] as [UInt64])
  func damaged(seed: UInt64) throws {
    let scratch = try Scratch()
    let kernel = try SyntheticKernel.build(
      source: """
        enum vcpu_sysreg { APIAKEYLO_EL1 = 3, END } e;
        struct kvm_cpu_context { unsigned long regs[4]; unsigned long sys_regs[END]; };
        typedef const volatile struct kvm_cpu_context context;
        struct kvm_vcpu {
          int vcpu_id; int matrix[2][3]; struct { union { int a; context ctxt[6]; }; } arch;
        } v;
        struct kvm_vcpu *p; context c;
        void kvm_arch_vcpu_load(void) {}
        """, flags: [], in: scratch.path)
    try run("pahole", ["-J", kernel])
    // pahole makes one dimension of several: DWARF has to tell.
    let image = try KernelImage(path: kernel)
    #expect(image.typeFormats == [.btf, .dwarf])
    #expect(try image.offset(of: "kvm_vcpu.matrix[1][2]") == 4 + 5 * 4)
    let path = try section(of: kernel, in: scratch)
    let bytes = try readBytes(path)
    let wanted = "kvm_vcpu.arch.ctxt[5].sys_regs[APIAKEYLO_EL1]"
    let whole = try BTFFile(path: path)
    #expect(try whole.offset(of: wanted) == 32 + 5 * 64 + 32 + 24)
    var random = SplitMix64(state: seed)
    var refused = 0
    for round in 0..<1500 {
      var damaged = bytes
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let reach = round % 2 == 0 ? min(24 + 12 * 20, bytes.count) : bytes.count
        damaged[Int.random(in: 0..<reach, using: &random)] ^=
          1 << UInt8.random(in: 0...7, using: &random)
      }
      if round % 5 == 0 { damaged.removeLast(Int.random(in: 1..<bytes.count, using: &random)) }
      if damaged.isEmpty { continue }
      try write(damaged, to: scratch.path + "/damaged")
      guard let file = try? BTFFile(path: scratch.path + "/damaged") else {
        refused += 1
        continue
      }
      for path in [wanted, "kvm_vcpu.arch.a", "kvm_cpu_context.sys_regs[2]", "context.regs[1]"] {
        _ = try? file.offset(of: path)
      }
      for type in ["kvm_vcpu", "context", "enum vcpu_sysreg", "int"] {
        _ = try? file.size(of: type)
      }
      _ = file.enumerator("END")
      _ = file.enumerator("APIAKEYLO_EL1", in: "vcpu_sysreg")
    }
    #expect(refused > 0 && refused < 1500)
  }
}
