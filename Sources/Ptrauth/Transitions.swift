// The patch as transitions, in the order a vCPU meets them. For v7 (G2) each is one hunk of
// "[PATCH v7 7/10] KVM: arm/arm64: context-switch ptrauth registers"; other generations differ
// only in their table of facts (Generation.swift).
//
//   kvm_reset_vcpu ─▶ kvm_arch_vcpu_load ─▶ __guest_enter ─▶ __guest_exit ─┬▶ kvm_arch_vcpu_put
//                          ▲                     ▲                         │
//                          │                     └── ptrauth trap ◀────────┤
//                          └───────────────────────────────────────────────┘

extension Generation {
  /// kvm_reset_vcpu: HCR starts from HCR_GUEST_FLAGS, which holds neither bit.
  public func reset(_ v: inout VCPUState) {
    v.bits = .clear
    v.enableInFlight = false
  }

  /// kvm_arch_vcpu_load. v7's last statement is kvm_arm_vcpu_ptrauth_setup_lazy: clear both bits
  /// of a vCPU that has ptrauth, touch no key. Whatever the host slots held is no longer ours.
  public func load(_ v: inout VCPUState, on cpu: Int32, _ c: inout PCPUState, process: Int32) {
    v.loadedOn = cpu
    switch (load, v.feature) {
    case (.clears, .both):
      // A preempted handler may set the bits after this load.
      v.bits = v.enableInFlight && hostSave == .preemptibleTrap ? .unknown : .clear
    case (.sets, .both): v.bits = .set
    case (.clears, .unknown): if v.bits != .clear { v.bits = .unknown }
    case (.sets, .unknown): v.bits = .unknown
    case (.nothing, _), (_, .none), (_, .partial): break
    }
    if hostSave == .everyLoad, v.feature == .both {
      c.hostSlots = .valid(process: process)
    } else if let saver = c.hostSlots.process {
      c.hostSlots = .stale(process: saver)
    }
  }

  /// kvm_arch_vcpu_put: nothing about keys; the shadow keeps its bits.
  public func put(_ v: inout VCPUState) { v.loadedOn = nil }

  /// ptrauth_switch_to_guest: if either bit is set, the ten registers are loaded from the guest's
  /// slots. The host's keys are not saved here (except in G1).
  public func guestEnter(_ v: VCPUState, vcpu: Int, _ c: inout PCPUState, process: Int32) {
    switch v.bits.switchesKeys {
    case .set:
      if hostSave == .everyEntry { c.hostSlots = .valid(process: process) }
      c.live = .guest(vcpu: vcpu)
    case .clear: c.live = .host(process: process)
    case .unknown: c.live = .unknown
    }
  }

  /// ptrauth_switch_to_host: the guest's registers to its slots, the ten registers from the host
  /// slots, isb. Whose keys the host gets is whoever saved last.
  public func guestExit(_ v: VCPUState, _ c: inout PCPUState, process: Int32) {
    switch v.bits.switchesKeys {
    case .set: c.live = c.hostSlots.process.map { .host(process: $0) } ?? .unknown
    case .clear: c.live = .host(process: process)
    case .unknown: c.live = .unknown
    }
  }

  /// A ptrauth trap of a vCPU with the feature was answered: kvm_arm_vcpu_ptrauth_trap enables,
  /// then saves the host's keys (v7). Without the feature it injects an UNDEF: no change.
  public func trap(_ v: inout VCPUState, _ c: inout PCPUState, process: Int32) {
    guard v.feature == .both else { return }
    switch hostSave {
    case .never: return
    case .preemptibleTrap, .hypTrap: c.hostSlots = .valid(process: process)
    case .everyEntry, .everyLoad: break
    }
    v.bits = .set
  }

  /// __switch_to: the next task's keys are installed.
  public func taskSwitch(_ c: inout PCPUState, to process: Int32) {
    c.live = process < 0 ? .unknown : .host(process: process)
  }
}
