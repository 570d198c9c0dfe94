import Ptrauth

// The fuzzers are a package of their own, which sees what is `package` here only like this.
#if FUZZING
  @testable import KernelImage
#else
  import KernelImage
#endif

extension Target {
  /// A vmlinux: ELF, DWARF and BTF, by the C libraries that read them.
  static let kernelImage = Target(name: "kernel-image") { bytes, scratch in
    ask(scratch.put(bytes, as: "vmlinux"))
  }

  /// The BTF of a running kernel.
  static let kernelTypes = Target(name: "kernel-types") { bytes, scratch in
    guard let file = try? BTFFile(path: scratch.put(bytes, as: "btf")) else { return }
    for member in members { _ = try? file.offset(of: member) }
    _ = try? file.size(of: "kvm_vcpu")
    _ = file.enumerator("APIAKEYLO_EL1")
  }

  /// Instructions in the place of all code of a small kernel, whose symbols and layouts stay.
  static let machineCode = Target(name: "machine-code") { bytes, _ in
    guard let kernel = unsafe SmallKernel.shared else { return }
    kernel.image.replacedInstructions = kernel.replacements(by: bytes)
    // Not what the image remembers: of other code.
    let evidence = GenerationEvidence(of: kernel.image)
    _ = KernelPointerAuth.isUsed(by: kernel.image)
    _ = try? kernel.image.audit(as: evidence.marked ?? kernel.generation)
  }

  private static let members = [
    "kvm_vcpu.arch.ctxt.sys_regs[APIAKEYLO_EL1]", "kvm_vcpu_arch.third", "kvm_vcpu.arch.hcr_el2",
    "kvm_vcpu_arch.matrix[2]",
  ]

  /// Everything there is to ask of a kernel.
  private static func ask(_ path: String) {
    guard let image = try? KernelImage(path: path) else { return }
    for name in ["kvm_arch_vcpu_load", "__guest_enter", "nothing"] {
      for address in image.addresses(of: name) + [0, 0x21_0000, .max] {
        _ = image.function(at: address)
        _ = image.label(at: address)
        _ = image.sourceLocation(of: address)
        _ = image.declaration(ofFunctionAt: address)
        _ = image.code(at: address, count: 16)
      }
    }
    for format in [nil, TypeFormat.btf, .dwarf] {
      for member in members { _ = try? image.offset(of: member, from: format) }
      _ = try? image.size(of: "kvm_vcpu", from: format)
      _ = image.enumerator("APIAKEYLO_EL1", from: format)
    }
    _ = image.generationEvidence()
    _ = image.kernelUsesPointerAuth
    _ = try? image.audit()
  }
}

/// A seed that has all functions of the key switch, opened once; its code is at one place, its types are BTF, found in no time.
private struct SmallKernel {
  let image: KernelImage
  /// Of the code as it was built.
  let generation: Generation?
  /// .text.
  private let address: UInt64
  private let code: [UInt8]

  nonisolated(unsafe) static let shared = SmallKernel()

  private init?() {
    let parts = #filePath.split(separator: "/").dropLast(3)
    let path = "/\(parts.joined(separator: "/"))/Seeds/kernel-image/btf.elf"
    guard let image = try? KernelImage(path: path), let text = image.section(named: ".text")
    else { return nil }
    self.image = image
    generation = image.generationEvidence().marked
    (address, code) = text
  }

  /// The instructions that `bytes`, from the start of the code, has otherwise.
  func replacements(by bytes: [UInt8]) -> [UInt64: UInt32] {
    func word(_ bytes: [UInt8], _ place: Int) -> UInt32 {
      (0..<4).reduce(0) { $0 | UInt32(bytes[place + $1]) << (8 * $1) }
    }
    var result: [UInt64: UInt32] = [:]
    for place in stride(from: 0, through: min(bytes.count, code.count) - 4, by: 4) {
      let new = word(bytes, place)
      if new != word(code, place) { result[address + UInt64(place)] = new }
    }
    return result
  }
}
