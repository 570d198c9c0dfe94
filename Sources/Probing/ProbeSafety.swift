/// Whether a kprobe may sit on a function.
///
/// A kprobe is a breakpoint instruction. The kernel refuses it where its own breakpoint handling could be
/// entered again (its blacklist), and would accept it in code that runs while the exception vectors are KVM's
/// (between __activate_traps and __deactivate_traps on a VHE host): there the first hit is a hyp panic, which
/// was seen with kvm_hyp_handle_ptrauth of 6.1.
public struct ProbeSafety<Kernel: ProbedKernel> {
  private let kernel: Kernel
  /// Looked up once: each costs a pass over all symbols.
  private let hypervisor: [Section]
  private let blacklist: [Section]
  /// Tables of exception vectors, and the code of VHE's hypervisor around them.
  private let vectors: [Range<UInt64>]
  private let worldSwitch: Range<UInt64>?

  public init(_ kernel: Kernel) {
    self.kernel = kernel
    hypervisor = Section.hypervisor.compactMap { $0.found(in: kernel) }
    blacklist = Section.blacklisted.compactMap { $0.found(in: kernel) }
    vectors = HypervisorCode.vectors(of: kernel)
    worldSwitch = HypervisorCode.worldSwitch(of: kernel)
  }

  /// Why no kprobe may be put on `function`; nil if one may.
  public func obstacle(to function: String) -> String? {
    let addresses = kernel.addresses(of: function)
    guard let address = addresses.first else {
      return "this kernel has no such symbol: the compiler inlined it, or the kernel is without it"
    }
    if let reason = hypervisorReason(function, address) { return reason }
    if kernel.has("_kbl_addr_\(function)") {
      return "the kernel's source forbids it (NOKPROBE_SYMBOL)"
    }
    for section in blacklist where section.range.contains(address) {
      return "it lies in \(section.name), which the kernel keeps free of kprobes"
    }
    if kernel.isTraceable(functionAt: address) == false {
      return
        "it is marked notrace, and kernels refuse probes there (CONFIG_KPROBE_EVENTS_ON_NOTRACE)"
    }
    if addresses.count > 1 {
      return
        "\(addresses.count) functions have that name, and a probe by name would be on any of them"
    }
    if let name = kernel.functionName(at: address), name != function {
      return "the compiler merged it with \(name): a hit would not tell which of the two ran"
    }
    return nil
  }

  private func hypervisorReason(_ function: String, _ address: UInt64) -> String? {
    if function.hasPrefix("__kvm_nvhe_")
      || hypervisor.contains(where: { $0.range.contains(address) })
    {
      return "it is code of the hypervisor at EL2 (hyp text), out of reach for kprobes"
    }
    if vectors.contains(where: { $0.contains(address) }) {
      return "it is an exception vector of the hypervisor: a breakpoint there has nowhere to go"
    }
    let isHypervisor: Bool
    if let file = kernel.sourceFile(ofFunctionAt: address) {
      isHypervisor = file.contains("arch/arm64/kvm/hyp/") || Self.isHypervisorName(function)
    } else {
      isHypervisor =
        Self.isHypervisorName(function) || worldSwitch.map { $0.contains(address) } ?? false
    }
    guard isHypervisor else { return nil }
    return
      "with KVM's exception vectors in force, a breakpoint there panics the host at its first hit"
  }

  /// Where there is no DWARF to say the source file.
  static func isHypervisorName(_ function: String) -> Bool {
    [
      "__guest_e", "kvm_hyp_", "__kvm_vcpu_run", "__hyp_", "__vgic_v3_", "__sysreg_", "__activate_",
      "__deactivate_",
    ]
    .contains { function.hasPrefix($0) } || function == "fixup_guest_exit"
  }
}

/// A part of the kernel's text between two symbols of its linker script.
private struct Section {
  var name: String
  var start, end: String
  var range: Range<UInt64> = 0..<0

  init(_ name: String, _ start: String, _ end: String) {
    self.name = name
    self.start = start
    self.end = end
  }

  func found(in kernel: some ProbedKernel) -> Section? {
    guard let first = kernel.addresses(of: start).first, let last = kernel.addresses(of: end).first,
      first < last
    else { return nil }
    var section = self
    section.range = first..<last
    return section
  }

  static var hypervisor: [Section] {
    [
      Section(".hyp.text", "__hyp_text_start", "__hyp_text_end"),
      Section(".hyp.idmap.text", "__hyp_idmap_text_start", "__hyp_idmap_text_end"),
    ]
  }

  /// arch_populate_kprobe_blacklist() of arm64 and populate_kprobe_blacklist() (kernel/kprobes.c).
  static var blacklisted: [Section] {
    [
      Section(".kprobes.text", "__kprobes_text_start", "__kprobes_text_end"),
      Section(".entry.text", "__entry_text_start", "__entry_text_end"),
      Section(".irqentry.text", "__irqentry_text_start", "__irqentry_text_end"),
      Section(".noinstr.text", "__noinstr_text_start", "__noinstr_text_end"),
      Section(".idmap.text", "__idmap_text_start", "__idmap_text_end"),
      Section(".hibernate_exit.text", "__hibernate_exit_text_start", "__hibernate_exit_text_end"),
    ]
  }
}
