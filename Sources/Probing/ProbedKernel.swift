public import KernelImage

/// What choosing probes asks of a kernel: a vmlinux, or the kernel that runs.
public protocol ProbedKernel {
  /// Bytes from the start of a type to a member: "kvm_vcpu.arch.hcr_el2".
  func memberOffset(_ path: String) throws(KernelImageError) -> UInt64
  /// Addresses of every symbol of that name.
  func addresses(of symbol: String) -> [UInt64]
  /// The function that begins at an address, by the name that is preferred of several.
  func functionName(at address: UInt64) -> String?
  /// The source file that declares the function which begins at an address, relative to the kernel
  /// tree; nil where that is not known.
  func sourceFile(ofFunctionAt address: UInt64) -> String?
  /// The struct that its first parameter points at; nil where that is not known.
  func firstParameterPointee(ofFunctionAt address: UInt64) -> String?
  /// The function tracer has a place at its entry; nil where that is not known.
  func isTraceable(functionAt address: UInt64) -> Bool?
}

extension KernelImage: ProbedKernel {
  public func memberOffset(_ path: String) throws(KernelImageError) -> UInt64 {
    try offset(of: path)
  }

  public func functionName(at address: UInt64) -> String? { function(at: address)?.name }

  public func sourceFile(ofFunctionAt address: UInt64) -> String? {
    declaration(ofFunctionAt: address)?.file
  }

  /// Two NOPs at the entry (-fpatchable-function-entry=2, since 5.5), behind BTI C if there is one. Known
  /// only where the kernel's functions have them.
  public func isTraceable(functionAt address: UInt64) -> Bool? {
    guard let load = addresses(of: "kvm_arch_vcpu_load").first, hasPatchableEntry(load) == true
    else { return nil }
    return hasPatchableEntry(address)
  }

  private func hasPatchableEntry(_ address: UInt64) -> Bool? {
    guard let words = code(at: address, count: 3) else { return nil }
    let nop: UInt32 = 0xd503_201f
    return words[1] == nop && (words[0] == nop || words[2] == nop)
  }
}

extension ProbedKernel {
  func has(_ symbol: String) -> Bool { !addresses(of: symbol).isEmpty }
  func hasMember(_ path: String) -> Bool { (try? memberOffset(path)) != nil }
}
