import Ptrauth
import Replay

/// What was asked for, in the user's words: which VM or vCPU that is tells the recording.
package struct Filter {
  struct VCPU {
    /// Process id or name; nil: of any.
    var vm: String?
    var number: Int32
  }
  /// The options as they were given.
  var words: String
  var vms: [String] = []
  var vcpus: [VCPU] = []
  var cpus: Set<Int32>?
  var time: ClosedRange<UInt64>?
  var rules: [Rule]?

  /// - Parameter analysis: of the whole recording.
  /// - Throws: what is asked for is not in the recording, with what is.
  func scope(in analysis: Analysis, _ path: String) throws(Problem) -> Scope {
    var scope = Scope(words: words)
    scope.rules = rules
    if let cpus {
      let there = Set(analysis.cpus.map(\.cpu))
      guard !there.isDisjoint(with: cpus) else {
        throw Problem(
          "\(path): nothing was recorded on the pCPUs of --cpu; there are "
            + there.sorted().map(String.init).joined(separator: ", "))
      }
      scope.cpus = cpus
    }
    if let time {
      let whole = analysis.firstTime...max(analysis.firstTime, analysis.lastTime)
      guard time.overlaps(whole) else {
        throw Problem(
          "\(path): nothing was recorded in --time; it has \(Self.seconds(whole.lowerBound)) to "
            + "\(Self.seconds(whole.upperBound)) s")
      }
      scope.time = time
    }
    if !vms.isEmpty || !vcpus.isEmpty { scope.vcpus = try identities(in: analysis, path) }
    return scope
  }

  private func identities(
    in analysis: Analysis, _ path: String
  ) throws(Problem) -> [VCPUIdentity] {
    var shown = analysis.vcpus
    if !vms.isEmpty {
      for vm in vms where !shown.contains(where: { $0.isOf(vm) }) {
        throw Problem("\(path): there is no VM \(vm); \(Self.words(analysis.vcpus))")
      }
      shown.removeAll { vcpu in !vms.contains { vcpu.isOf($0) } }
    }
    guard !vcpus.isEmpty else { return shown.map(\.identity) }
    var chosen: [VCPUIdentity] = []
    for vcpu in vcpus {
      let found = shown.filter {
        $0.identity.number == vcpu.number && (vcpu.vm.map($0.isOf) ?? true)
      }
      guard !found.isEmpty else {
        throw Problem(
          "\(path): there is no vCPU \(vcpu.vm.map { $0 + ":" } ?? "")\(vcpu.number)"
            + (vms.isEmpty ? "" : " of --vm \(vms.joined(separator: ","))")
            + "; \(Self.words(analysis.vcpus))")
      }
      chosen += found.map(\.identity)
    }
    return chosen
  }

  /// "there are vCPU 0 to 3 of VM 81 (kvmlab) and ...": what could be chosen.
  private static func words(_ vcpus: [Analysis.VCPU]) -> String {
    var machines: [(name: String, numbers: [String])] = []
    for vcpu in vcpus {
      let number = vcpu.identity.number.map(String.init) ?? "?"
      if let last = machines.indices.last, machines[last].name == vcpu.machine {
        machines[last].numbers.append(number)
      } else {
        machines.append((vcpu.machine, [number]))
      }
    }
    if machines.isEmpty { return "no vCPU was followed" }
    let isNumbered = vcpus.contains { $0.identity.number != nil }
    return "there are "
      + machines.map { "vCPU \($0.numbers.joined(separator: ", ")) of \($0.name)" }
      .joined(separator: "; ")
      + (isNumbered ? "" : " (their numbers were not recorded: fetch vcpu_id with a probe)")
  }

  private static func seconds(_ nanoseconds: UInt64) -> String {
    let fraction = String(nanoseconds % 1_000_000_000)
    return "\(nanoseconds / 1_000_000_000)."
      + String(repeating: "0", count: 9 - fraction.count) + fraction
  }
}

extension Analysis.VCPU {
  /// - Parameter vm: a process id or the name of a VMM.
  fileprivate func isOf(_ vm: String) -> Bool { pid >= 0 && String(pid) == vm || vmm == vm }
}
