import KernelImage
import Probing

/// A kernel made of tables.
struct StubKernel: ProbedKernel {
  var symbols: [String: [UInt64]] = [:]
  var offsets: [String: UInt64] = [:]
  var files: [UInt64: String] = [:]
  var pointees: [UInt64: String] = [:]
  var notrace: Set<UInt64> = []
  /// A file that the wrong kind of error is taken from: there is no public way to make one.
  private static let refusal: KernelImageError? = {
    do throws(KernelImageError) {
      _ = try KernelImage(path: "/nonexistent/vmlinux")
      return nil
    } catch {
      return error
    }
  }()

  func memberOffset(_ path: String) throws(KernelImageError) -> UInt64 {
    if let offset = offsets[path] { return offset }
    if let refusal = Self.refusal { throw refusal }
    return 0
  }
  func addresses(of symbol: String) -> [UInt64] { symbols[symbol] ?? [] }
  func functionName(at address: UInt64) -> String? {
    symbols.filter { $0.value.contains(address) && !$0.key.hasPrefix("__kprobes") }.keys.sorted()
      .first
  }
  func sourceFile(ofFunctionAt address: UInt64) -> String? { files[address] }
  func firstParameterPointee(ofFunctionAt address: UInt64) -> String? { pointees[address] }
  func isTraceable(functionAt address: UInt64) -> Bool? { notrace.contains(address) ? false : nil }

  /// The functions and members that every kernel has, the functions 0x100 bytes apart.
  static func minimal(_ more: [String] = []) -> StubKernel {
    var kernel = StubKernel()
    let functions = [
      "kvm_arch_vcpu_load", "kvm_arch_vcpu_put", "handle_exit", "kvm_vgic_flush_hwstate",
      "kvm_vgic_sync_hwstate", "kvm_reset_vcpu", "kvm_inject_undefined", "kvm_handle_ptrauth",
    ]
    for (index, name) in (functions + more).enumerated() {
      kernel.symbols[name] = [0x1000 + UInt64(index) * 0x100]
    }
    kernel.offsets = ["kvm_vcpu.vcpu_id": 36, "kvm_vcpu.arch.hcr_el2": 2112]
    return kernel
  }
}
