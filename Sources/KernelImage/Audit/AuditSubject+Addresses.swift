// Where things lie, and how a reader of the patch would put it.
extension AuditSubject {
  /// Where guest exit may find the host's slots: in this CPU's hyp context (5.10 on), in kvm_host_data, or in
  /// kvm_host_cpu_state.
  func hostBases(_ copy: Copy) -> [Address] {
    guard let offsets else { return [] }
    var contexts: [UInt64] = []
    for name in ["kvm_hyp_ctxt", "kvm_host_cpu_state"] {
      contexts += image.addresses(of: copy.prefix + name)
    }
    if let inside = offsets.hostContext {
      contexts += image.addresses(of: copy.prefix + "kvm_host_data").map {
        $0 &+ UInt64(bitPattern: inside)
      }
    }
    return contexts.map {
      Address(symbol: .perCPU, offset: Int64(bitPattern: $0) &+ offsets.slots[0])
    }
  }

  /// Where this CPU's pointer to the loaded vCPU may be: __hyp_running_vcpu of the host's context.
  func runningPointers(_ copy: Copy) -> [Address] {
    guard let offsets,
      let running = try? image.offset(of: "kvm_cpu_context.__hyp_running_vcpu"),
      let running = Int64(exactly: running)
    else { return [] }
    return hostBases(copy).map { $0.adding(running &- offsets.slots[0]) }
  }

  /// An address as a reader of the patch would put it.
  /// - Parameter vcpu: the argument that is struct kvm_vcpu.
  func words(_ address: Address, vcpu: UInt8 = 0) -> String {
    func signed(_ value: Int64) -> String {
      value < 0 ? "-0x\(hex(0 - value))" : "+0x\(hex(value))"
    }
    switch address.symbol {
    case .argument(vcpu): return "at vcpu\(signed(address.offset))"
    case .argument(let number):
      return "at x\(number)\(signed(address.offset)) (x\(number) as passed)"
    case .perCPU:
      let place = UInt64(bitPattern: address.offset)
      let name = [
        "kvm_hyp_ctxt", "__kvm_nvhe_kvm_hyp_ctxt", "kvm_host_data", "__kvm_nvhe_kvm_host_data",
      ]
      .compactMap { name in
        image.addresses(of: name).first { $0 <= place && place - $0 < 0x4000 }.map { (name, $0) }
      }
      .max { $0.1 < $1.1 }
      guard let name else { return "at 0x\(hex(place)) of this CPU's data" }
      return "at \(name.0)+0x\(hex(place - name.1)) of this CPU"
    case .lowerThread:
      return "at 0x\(hex(UInt64(bitPattern: address.offset))) from TPIDR_EL1, which is not EL2's"
    case .stack: return "on the stack"
    case .narrow(_, let symbol):
      return words(Address(symbol: symbol, offset: address.offset), vcpu: vcpu)
    case .word(let inner):
      return "at 0x\(hex(address.offset)) in what the pointer \(words(inner, vcpu: vcpu)) points to"
    case .hcr: return "at HCR_EL2"
    case .virtualRegister(let number): return "at register \(number) of the vCPU"
    case .result(let pc): return "at \(signed(address.offset)) from the result of 0x\(hex(pc))"
    }
  }
}
