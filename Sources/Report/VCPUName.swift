package import Replay

/// How every table, lane and line calls a vCPU: its VM by process and name, then its number; a pointer only where
/// these do not tell it apart.
extension Analysis {
  /// The vCPU of an identity, as a finding or a timeline has it.
  func vcpu(_ identity: VCPUIdentity) -> VCPU? {
    vcpus.first { vcpu in
      let known = vcpu.identity
      if let pointer = known.pointer, let its = identity.pointer { return pointer == its }
      return identity.thread != nil && known.thread == identity.thread
    }
  }

  /// "VM 90 (qemu-system-aar) vCPU 1".
  func name(_ identity: VCPUIdentity) -> String {
    let number = identity.number.map(String.init) ?? "?"
    guard let vcpu = vcpu(identity) else {
      let pointer = identity.pointer.map { "vCPU \(number) (\(hexadecimal($0)))" }
      return pointer ?? "vCPU \(number) of thread \(identity.thread.map(String.init) ?? "?")"
    }
    return "\(vcpu.machine) vCPU \(number)"
      + (isAlone(vcpu) ? "" : vcpu.identity.pointer.map { " (\(hexadecimal($0)))" } ?? "")
  }

  /// "VM 90 (kvmlab) vCPU 0: 185, 1: 66": on which vCPUs a finding was, and how often.
  func places(_ finding: Finding) -> [String] {
    var left = finding.vcpus
    var places: [String] = []
    for machine in machines {
      let counts = machine.vcpus.compactMap { vcpu -> String? in
        guard
          let index = left.firstIndex(where: {
            self.vcpu($0.identity)?.identity == vcpu.identity
          })
        else { return nil }
        let number = vcpu.identity.number.map(String.init) ?? "?"
        let pointer =
          isAlone(vcpu) ? "" : vcpu.identity.pointer.map { " (\(hexadecimal($0)))" } ?? ""
        return "\(number)\(pointer): \(left.remove(at: index).count)"
      }
      if !counts.isEmpty { places.append("\(machine.name) vCPU \(counts.joined(separator: ", "))") }
    }
    return places + left.map { "\(name($0.identity)): \($0.count)" }
  }

  /// No other has its VM and number.
  package func isAlone(_ vcpu: VCPU) -> Bool {
    vcpu.identity.number != nil
      && vcpus.count { $0.machine == vcpu.machine && $0.identity.number == vcpu.identity.number }
        == 1
  }

  /// VMs in the report's order, with their vCPUs.
  var machines: [(name: String, vcpus: [VCPU])] {
    var machines: [(name: String, vcpus: [VCPU])] = []
    for vcpu in vcpus {
      if let last = machines.indices.last, machines[last].name == vcpu.machine {
        machines[last].vcpus.append(vcpu)
      } else {
        machines.append((vcpu.machine, [vcpu]))
      }
    }
    return machines
  }
}
