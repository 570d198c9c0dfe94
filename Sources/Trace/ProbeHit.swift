/// One hit of a kprobe or kretprobe, with the fields it fetched.
public struct ProbeHit: Sendable, BitwiseCopyable {
  /// Run-time address of the probed instruction: `__probe_ip`, or `__probe_func` of a kretprobe.
  public var address: UInt64
  /// A kretprobe: the function named by ``address`` is returning.
  public var isReturn: Bool
  /// Text only, where the kernel printed a name in place of the address: the symbol, followed by
  /// "+0x..." unless the hit is at its first instruction. ``address`` is then 0 if it is not printed
  /// too.
  public var symbolName: SymbolName?
  public var fields: ProbeFields
  /// No probe: the function tracer recorded the entry of a function. ``address`` is that of the traced
  /// instruction, a few bytes behind the function's first, and there are no fields.
  public var isTraced = false

  /// ``symbolName`` in words.
  public var symbol: String? {
    get { symbolName?.text }
    set { symbolName = newValue.map(SymbolName.init) }
  }

  public init(address: UInt64, isReturn: Bool, fields: ProbeFields) {
    self.address = address
    self.isReturn = isReturn
    self.fields = fields
  }
}

extension ProbeHit {
  /// A record of the function tracer.
  init(traced address: UInt64) {
    self.init(address: address, isReturn: false, fields: ProbeFields())
    isTraced = true
  }

  init(traced symbol: String) {
    self.init(traced: 0)
    self.symbol = symbol
  }
}

/// The fetch arguments the analysis understands, by their canonical names (the last member's name
/// in lower case, as perf probe names them). Absent fields are nil.
public struct ProbeFields: Sendable, BitwiseCopyable {
  /// `vcpu`: struct kvm_vcpu *.
  public var vcpu: UInt64?
  /// `cpu`: second argument of kvm_arch_vcpu_load.
  public var cpu: Int32?
  /// `vcpu_id`.
  public var vcpuID: Int32?
  /// `hcr_el2`: the shadow, vcpu->arch.hcr_el2 (v7: vcpu->arch.ctxt.hcr_el2).
  public var hcr: UInt64?
  /// `features`: vcpu->arch.features (6.x later: kvm->arch.vcpu_features).
  public var features: UInt64?
  /// `esr_el2`: vcpu->arch.fault.esr_el2.
  public var esr: UInt64?
  /// `exit_code`: argument of handle_exit, return value of __kvm_vcpu_run.
  public var exitCode: Int32?
  /// `cflags`, `iflags`, `sflags`: vcpu->arch flags (6.0 and later).
  public var cflags, iflags, sflags: UInt64?
  /// `host_ctxt`: vcpu->arch.host_cpu_context (up to 5.7).
  public var hostContext: UInt64?
  /// `mm`: vcpu->kvm->mm, the address space of the VMM: which process it is, where the recorder tells none.
  public var mm: UInt64?
  /// `userspace_pid`: vcpu->kvm->userspace_pid, the thread that made the VM (kvm_uevent_notify_change,
  /// virt/kvm/kvm_main.c).
  public var userspacePID: Int32?
  /// `apiakeylo_el1` ... `apgakeyhi_el1`: the guest's key slots. Nil unless all ten are there.
  public var guestKeys: KeySlots?
  /// `host_apiakeylo_el1` ...: the key slots of the host context. Nil unless all ten are there.
  public var hostKeys: KeySlots?

  public init() {}
}

/// The ten key registers of a key set as a probe sampled them: APIA, APIB, APDA, APDB, APGA, each LO
/// then HI. Keys are secrets: a value can be compared, never printed.
public struct KeySlots: Sendable, BitwiseCopyable, Equatable, CustomStringConvertible,
  CustomReflectable
{
  package var registers: InlineArray<10, UInt64>

  /// What reset_unknown() leaves in a slot (arch/arm64/kvm/sys_regs.h): the guest has not
  /// written its key yet.
  package static let resetValue: UInt64 = 0x1de7_ec7e_dbad_c0de

  package init(registers: InlineArray<10, UInt64>) { self.registers = registers }

  public static func == (a: KeySlots, b: KeySlots) -> Bool {
    for i in 0..<10 where a.registers[i] != b.registers[i] { return false }
    return true
  }

  /// Every register is zero: the slot was never written.
  public var isZero: Bool {
    for i in 0..<10 where registers[i] != 0 { return false }
    return true
  }

  /// Register `index` (0...9) still holds the value of a vCPU reset.
  public func isReset(_ index: Int) -> Bool { registers[index] == Self.resetValue }

  public func isZero(_ index: Int) -> Bool { registers[index] == 0 }

  /// Register `index` (0...9) has the same value in both.
  public func isSame(_ index: Int, as other: KeySlots) -> Bool {
    registers[index] == other.registers[index]
  }

  /// Register `index` holds what register `place` of `other` does.
  public func isSame(_ index: Int, as other: KeySlots, at place: Int) -> Bool {
    registers[index] == other.registers[place]
  }

  public var description: String { "KeySlots(redacted)" }
  public var customMirror: Mirror { Mirror(self, children: []) }
}
