import Bytes

/// Whether this machine is one that can be recorded: an arm64 host with KVM, whose kernel takes probes.
public struct HostCheck: Sendable {
  public var isRoot: Bool
  /// Run-time symbols, as /proc/kallsyms.
  public var symbols: KernelSymbolTable
  public var hasKVM: Bool
  public var tracefs: Tracefs?

  public init(isRoot: Bool, symbols: KernelSymbolTable, hasKVM: Bool, tracefs: Tracefs?) {
    self.isRoot = isRoot
    self.symbols = symbols
    self.hasKVM = hasKVM
    self.tracefs = tracefs
  }

  /// The machine that this runs on.
  public static func running() -> HostCheck {
    HostCheck(
      isRoot: SystemFile.isRoot,
      symbols: KernelSymbolTable((try? SystemFile.read("/proc/kallsyms")) ?? []),
      hasKVM: SystemFile.exists("/dev/kvm"), tracefs: Tracefs.find())
  }

  /// Why it cannot be recorded, in a sentence that says what to do; nil if it can.
  ///
  /// The architecture is the kernel's own word, its system calls' names (since 4.19): uname(2) says what
  /// an emulator of programs wants it to say. Names are there for everybody, addresses for root.
  public var obstacle: String? {
    if !symbols.isEmpty {
      if symbols.addresses(of: "__arm64_sys_read").isEmpty {
        return
          "this is no arm64 KVM host: its kernel is of another architecture; run record on the "
          + "arm64 machine whose guests are to be checked"
      }
      if symbols.addresses(of: "kvm_arch_vcpu_load").isEmpty {
        return "this kernel was built without KVM (CONFIG_KVM)"
      }
    }
    if !isRoot { return "only root may record the kernel: run it with sudo" }
    if symbols.isEmpty {
      return "/proc/kallsyms shows no symbols: the kernel needs CONFIG_KALLSYMS"
    }
    if symbols.addresses(of: "kvm_arch_vcpu_load").contains(0) {
      return "/proc/kallsyms hides addresses: sysctl kernel.kptr_restrict=1 shows them to root"
    }
    if !hasKVM { return "there is no /dev/kvm: the kernel was not started at EL2, or KVM is off" }
    guard let tracefs else {
      return "tracefs is not mounted: mount -t tracefs nodev /sys/kernel/tracing"
    }
    if !tracefs.hasProbes {
      return "\(tracefs.root) has no kprobe_events: the kernel needs CONFIG_KPROBE_EVENTS"
    }
    return nil
  }
}
