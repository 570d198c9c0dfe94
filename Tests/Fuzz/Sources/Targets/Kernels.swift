import Glibc
import KernelImage

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

  /// Instructions in the place of all code of a small kernel.
  static let machineCode = Target(name: "machine-code") { bytes, scratch in
    guard let kernel = SmallKernel.shared else { return }
    let path = scratch.put(kernel.bytes, as: "vmlinux")
    scratch.put(Array(bytes.prefix(kernel.code.count)), as: "vmlinux", at: kernel.code.lowerBound)
    guard let image = try? KernelImage(path: path) else { return }
    _ = image.generationEvidence()
    _ = try? image.audit()
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

/// The smallest of the seeds that has all functions of the key switch; its code is at one place.
private struct SmallKernel {
  let bytes: [UInt8]
  /// Where .text lies in the file.
  let code: Range<Int>

  static let shared: SmallKernel? = {
    let parts = #filePath.split(separator: "/").dropLast(3)
    let path = "/\(parts.joined(separator: "/"))/Seeds/kernel-image/small.elf"
    guard let image = try? KernelImage(path: path), let text = image.section(named: ".text"),
      let start = Scratch.bytes(path).firstRange(of: text.bytes)?.lowerBound
    else { return nil }
    return SmallKernel(bytes: Scratch.bytes(path), code: start..<start + text.bytes.count)
  }()
}
