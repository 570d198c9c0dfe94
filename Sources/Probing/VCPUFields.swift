import KernelImage
import Ptrauth

/// Where one kernel keeps what the analysis wants to know of a vCPU, as fetch arguments of a probe whose
/// first argument is the struct kvm_vcpu.
///
/// Names are the last member's, in lower case, as perf probe names them.
struct VCPUFields {
  let vcpu = FetchArgument("vcpu", .x64)
  let vcpuID: FetchArgument
  /// The shadow of HCR_EL2.
  let hcr: FetchArgument
  /// Of the vCPU; from 6.10 or so on of its VM.
  let features: FetchArgument?
  /// Which process the VMM is: its address space, and the thread that made the VM.
  let process: [FetchArgument]
  /// cflags, iflags, sflags: 6.0 and later.
  let flags: [FetchArgument]
  let esr: FetchArgument?
  /// vcpu->arch.host_cpu_context: up to 5.7.
  let hostContext: FetchArgument?
  /// The ten slots of the guest, and those of the host context where a pointer leads there.
  let guestKeys: [FetchArgument]
  let hostKeys: [FetchArgument]

  init(_ kernel: some ProbedKernel) throws(KernelImageError) {
    vcpuID = FetchArgument("vcpu_id", offsets: [try kernel.memberOffset("kvm_vcpu.vcpu_id")], .s32)
    // v7 keeps the shadow in the context (arch/arm64/include/asm/kvm_host.h).
    let shadow =
      kernel.hasMember("kvm_vcpu.arch.ctxt.hcr_el2")
      ? "kvm_vcpu.arch.ctxt.hcr_el2" : "kvm_vcpu.arch.hcr_el2"
    hcr = FetchArgument("hcr_el2", offsets: [try kernel.memberOffset(shadow)], .x64)
    features = Self.features(kernel)
    process = Self.process(kernel)
    flags = ["cflags", "iflags", "sflags"].compactMap { name in
      (try? kernel.memberOffset("kvm_vcpu.arch.\(name)")).map {
        FetchArgument(name, offsets: [$0], .x8)
      }
    }
    // 32 bits up to 5.18, 64 later: the low half holds the exception class and all the rest of it.
    esr = (try? kernel.memberOffset("kvm_vcpu.arch.fault.esr_el2")).map {
      FetchArgument("esr_el2", offsets: [$0], .x32)
    }
    let pointer = try? kernel.memberOffset("kvm_vcpu.arch.host_cpu_context")
    hostContext = pointer.map { FetchArgument("host_ctxt", offsets: [$0], .x64) }
    var guest: [FetchArgument] = []
    var host: [FetchArgument] = []
    for register in KeyRegister.allCases {
      let name = register.name.lowercased()
      guard
        let slot = try? kernel.memberOffset("kvm_vcpu.arch.ctxt.sys_regs[\(register.name)]"),
        let inContext = try? kernel.memberOffset("kvm_cpu_context.sys_regs[\(register.name)]")
      else { continue }
      guest.append(FetchArgument(name, offsets: [slot], .x64))
      if let pointer {
        host.append(FetchArgument("host_\(name)", offsets: [pointer, inContext], .x64))
      }
    }
    guestKeys = guest.count == KeyRegister.allCases.count ? guest : []
    hostKeys = host.count == KeyRegister.allCases.count ? host : []
  }

  private static func features(_ kernel: some ProbedKernel) -> FetchArgument? {
    if let own = try? kernel.memberOffset("kvm_vcpu.arch.features") {
      return FetchArgument("features", offsets: [own], .x64)
    }
    guard let vm = try? kernel.memberOffset("kvm_vcpu.kvm"),
      let common = try? kernel.memberOffset("kvm.arch.vcpu_features")
    else { return nil }
    return FetchArgument("features", offsets: [vm, common], .x64)
  }

  private static func process(_ kernel: some ProbedKernel) -> [FetchArgument] {
    guard let vm = try? kernel.memberOffset("kvm_vcpu.kvm"),
      let mm = try? kernel.memberOffset("kvm.mm"),
      let pid = try? kernel.memberOffset("kvm.userspace_pid")
    else { return [] }
    return [
      FetchArgument("mm", offsets: [vm, mm], .x64),
      FetchArgument("userspace_pid", offsets: [vm, pid], .s32),
    ]
  }

  /// What every probe fetches.
  var identity: [FetchArgument] { [vcpu, vcpuID, hcr] }
  /// What the VM was promised, and the flags.
  var promise: [FetchArgument] { (features.map { [$0] } ?? []) + flags }
}
