// The one transition function: what a step does to the vCPU and the pCPU it runs on.
//
//   kvm_reset_vcpu ─▶ kvm_arch_vcpu_load ─▶ __guest_enter ─▶ __guest_exit ─┬▶ kvm_arch_vcpu_put
//                          ▲                     ▲                         │
//                          │                     └── ptrauth trap ◀────────┤
//                          └───────────────────────────────────────────────┘
//
// Which steps each of these functions is made of is in Code.swift. The explorer runs them one by
// one, other tasks coming in between; a recording shows whole functions, and runs them whole
// (Function.swift).

extension Step {
  /// Performs the step on pCPU `cpu`. `context` is the host slots that ``VCPUState/context`` leads to.
  public func perform(
    _ v: inout VCPUState, on c: inout PCPUState, at cpu: Int32, context: inout HostSlots
  ) {
    switch self {
    case .arrive:
      v.loadedOn = cpu
      c.hostSlots.isFresh = .clear
    case .takeHostContext: v.hostContext = cpu
    case .enable(let api, let apk):
      if api { v.bits.api = .set }
      if apk { v.bits.apk = .set }
    case .disable: v.bits = .clear
    case .adoptNestedBits: v.bits = v.nestedBits ?? v.bits
    case .addNestedBits:
      if v.nestedBits?.api == .set { v.bits.api = .set }
      if v.nestedBits?.apk == .set { v.bits.apk = .set }
    case .writeHCR: c.hcr = v.bits
    case .enableHCR, .setHCR: c.hcr = .set
    case .clearHCR: c.hcr = .clear

    case .readHostContext: v.context = v.hostContext
    case .readOwnContext: v.context = cpu
    case .saveHost: context = HostSlots(c.live, isFresh: .set)
    case .restoreGuest: c.live = v.slots
    case .saveGuest: v.slots = c.live
    case .restoreHost:
      c.live = c.hostSlots.keys
      c.isUnsynchronized = true
    case .synchronize: c.isUnsynchronized = false

    case .resetGuest: v.slots = .guest(vcpu: v.number)
    case .injectUndefined, .injectNested: break
    }
  }
}
