import Ptrauth

/// Whether a file of BTF is this kernel's.
extension KernelImage {
  /// What the key switch, its probes and its audit rest on.
  private static let questions = [
    "kvm_vcpu.vcpu_id", "kvm_vcpu.arch.ctxt", "kvm_vcpu.arch.hcr_el2", "kvm_vcpu.arch.ctxt.hcr_el2",
    "kvm_vcpu.arch.features", "kvm_vcpu.arch.flags", "kvm_vcpu.arch.cflags",
    "kvm_vcpu.arch.host_cpu_context", "kvm_vcpu.arch.fault.esr_el2",
    "kvm_cpu_context.sys_regs[APIAKEYLO_EL1]", "kvm_cpu_context.sys_regs[APGAKEYHI_EL1]",
    "kvm_host_data.host_ctxt",
  ]

  /// How many offsets are the same by types of the image's own; throws `.otherKernel` where they say otherwise.
  func agreements(with file: BTFFile) throws(KernelImageError) -> Int {
    var count = 0
    for question in Self.questions {
      // Only an offset that one has and the other puts elsewhere, or lacks in a struct that it knows.
      let own = TypeAnswer { () throws(KernelImageError) in try offset(of: question) }
      let other = TypeAnswer { () throws(KernelImageError) in try file.offset(of: question) }
      if case .bytes = own, own == other { count += 1 }
      guard own.contradicts(other) else { continue }
      throw KernelImageError(
        .otherKernel, file.path,
        "is not the BTF of \(path): \(question) is \(other.words) there, and \(own.words) by the "
          + "vmlinux's own \(typeFormats.first?.rawValue ?? "types"); leave --btf out")
    }
    return count
  }

  /// Throws `.otherKernel` where the key switch finds all slots at one distance from where the file has them: that
  /// is a wrong file, and not ten wrong slots.
  func requireCode(toAgreeWith file: BTFFile) throws(KernelImageError) {
    guard hasSymbols, let offsets = Offsets(self) else { return }
    let subject = AuditSubject(self, nil)
    var found: Set<Int64> = []
    for copy in subject.copies {
      let checks = GuestSwitchChecks(subject: subject, copy: copy)
      for (ends, argument) in [(checks.enterEnds, UInt8(0)), (checks.exitEnds, 1)] {
        for end in ends {
          let map = argument == 0 ? checks.restoreMap(end.state) : checks.saveMap(end.state)
          guard let base = map.base, base.symbol == .argument(argument), map.mistakes.isEmpty
          else { return }
          found.insert(base.offset)
        }
      }
    }
    let expected = offsets.context + offsets.slots[0]
    guard found.count == 1, let place = found.first, place != expected else { return }
    throw KernelImageError(
      .otherKernel, file.path,
      "is not the BTF of \(path): its key switch has the guest's slots at vcpu+0x\(hex(place)), the file "
        + "at vcpu+0x\(hex(expected)); copy /sys/kernel/btf/vmlinux of the machine that runs this kernel"
    )
  }
}
