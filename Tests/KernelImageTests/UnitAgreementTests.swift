import KernelImage
import Testing

@Suite("Compile units compared")
struct UnitAgreementTests {
  @Test("every unit of a kernel agrees on what the audit asks", arguments: RecordedKernel.present)
  func agreement(kernel: RecordedKernel) throws {
    let image = try kernel.open()
    _ = try image.audit()
    let agreement = try image.unitAgreement()
    #expect(agreement.differences.isEmpty, "\(agreement.differences)")
    // By somebody else: units, and definitions of struct kvm_vcpu (not mere declarations).
    let dump = try run("llvm-dwarfdump", ["--name=kvm_vcpu", kernel.plainPath()])
    let definitions = dump.components(of: "DW_AT_name\t(\"kvm_vcpu\")\n").count - 1
    #expect(agreement.defining >= definitions && definitions > 40)
    #expect(agreement.units > agreement.defining)
    #expect(agreement.questions >= 15 && agreement.answers > agreement.questions * 20)
  }

  @Test("units that disagree are named, with both answers")
  func disagreement() throws {
    let scratch = try Scratch()
    func object(_ name: String, _ source: String) throws -> String {
      let path = scratch.path + "/" + name
      try write(Array(source.utf8), to: path + ".c")
      try run(
        "clang",
        [
          "--target=aarch64-linux-gnu", "-g", "-ffreestanding", "-c", path + ".c", "-o",
          path + ".o",
        ]
      )
      return path + ".o"
    }
    func source(_ members: String, _ function: String) -> String {
      """
      enum vcpu_sysreg { MPIDR_EL1 = 1, APIAKEYLO_EL1 = 4, END = 8 };
      struct kvm_vcpu { int vcpu_id; \(members) unsigned long regs[END]; } vcpu_of_\(function);
      void \(function)(void) { vcpu_of_\(function).regs[APIAKEYLO_EL1] = 1; }
      """
    }
    let objects = try [
      object("one", source("", "kvm_arch_vcpu_load")), object("same", source("", "other")),
      object("odd", source("long more;", "odd")),
      object("none", "void nothing(void) {}"),
    ]
    let path = scratch.path + "/vmlinux"
    try run("ld.lld", ["-e", "kvm_arch_vcpu_load", "-o", path] + objects)
    let image = try KernelImage(path: path)
    #expect(try image.offset(of: "kvm_vcpu.regs[APIAKEYLO_EL1]") == 8 + 4 * 8)
    #expect(try image.offset(of: "kvm_vcpu.vcpu_id") == 0)
    #expect(!image.hasMember("kvm_vcpu.more"))
    let agreement = try image.unitAgreement()
    #expect(agreement.units == 4 && agreement.defining == 3 && agreement.questions == 2)
    #expect(agreement.differences.count == 1)
    let difference = try #require(agreement.differences.first)
    #expect(difference.question == .offset("kvm_vcpu.regs[APIAKEYLO_EL1]"))
    #expect(difference.used == 40 && difference.found == 48)
    #expect(difference.unit.hasSuffix("/odd.c"))
    #expect(agreement.summary.contains("do not agree"))

    try run("llvm-objcopy", ["--strip-debug", path, path + ".nodebug"])
    #expect(throws: KernelImageError.self) {
      try KernelImage(path: path + ".nodebug").unitAgreement()
    }
  }
}

extension String {
  fileprivate func components(of separator: String) -> [Substring] {
    split(separator: separator, omittingEmptySubsequences: false)
  }
}
