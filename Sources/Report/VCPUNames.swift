package import Replay

/// How every table, lane and line calls a vCPU: its VM by process and name, then its number; a pointer only where
/// these do not tell it apart.
///
/// A recording can have as many vCPUs as lines: none is looked for among all of them.
package struct VCPUNames: Sendable {
  private struct Place: Hashable {
    var machine: String
    var number: Int32
  }

  private let vcpus: [Analysis.VCPU]
  /// The first of each, in the order of the report.
  private var byPointer: [UInt64: Int] = [:]
  private var byThread: [Int32: Int] = [:]
  private var byThreadAlone: [Int32: Int] = [:]
  private var counts: [Place: Int] = [:]

  package init(_ analysis: Analysis) {
    vcpus = analysis.vcpus
    for (index, vcpu) in vcpus.enumerated().reversed() {
      if let pointer = vcpu.identity.pointer { byPointer[pointer] = index }
      if let thread = vcpu.identity.thread {
        byThread[thread] = index
        if vcpu.identity.pointer == nil { byThreadAlone[thread] = index }
      }
      if let place = Self.place(vcpu) { counts[place, default: 0] += 1 }
    }
  }

  private static func place(_ vcpu: Analysis.VCPU) -> Place? {
    vcpu.identity.number.map { Place(machine: vcpu.machine, number: $0) }
  }

  /// The vCPU of an identity, as a finding or a timeline has it.
  func vcpu(_ identity: VCPUIdentity) -> Analysis.VCPU? {
    let thread = identity.thread.flatMap {
      (identity.pointer == nil ? byThread : byThreadAlone)[$0]
    }
    let pointer = identity.pointer.flatMap { byPointer[$0] }
    return [thread, pointer].compactMap(\.self).min().map { vcpus[$0] }
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
  func places(_ finding: Finding, _ machines: [(name: String, vcpus: [Analysis.VCPU])]) -> [String]
  {
    // The last first.
    var waiting: [VCPUIdentity: [Int]] = [:]
    for (index, found) in finding.vcpus.enumerated().reversed() {
      if let known = vcpu(found.identity) { waiting[known.identity, default: []].append(index) }
    }
    var isLeft = Array(repeating: true, count: finding.vcpus.count)
    var places: [String] = []
    for machine in machines {
      let counts = machine.vcpus.compactMap { vcpu -> String? in
        guard let index = waiting[vcpu.identity]?.popLast() else { return nil }
        isLeft[index] = false
        let number = vcpu.identity.number.map(String.init) ?? "?"
        let pointer =
          isAlone(vcpu) ? "" : vcpu.identity.pointer.map { " (\(hexadecimal($0)))" } ?? ""
        return "\(number)\(pointer): \(finding.vcpus[index].count)"
      }
      if !counts.isEmpty { places.append("\(machine.name) vCPU \(counts.joined(separator: ", "))") }
    }
    let left = zip(finding.vcpus, isLeft).filter(\.1).map(\.0)
    return places + left.map { "\(name($0.identity)): \($0.count)" }
  }

  /// No other has its VM and number.
  package func isAlone(_ vcpu: Analysis.VCPU) -> Bool {
    Self.place(vcpu).map { counts[$0] == 1 } ?? false
  }
}

extension Analysis {
  /// See ``VCPUNames/places(_:_:)``.
  func places(_ finding: Finding) -> [String] { VCPUNames(self).places(finding, machines) }

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
