package import Replay

/// The picture's vCPUs in the report's order, with the names they have there.
package struct LaneOrder {
  package struct Lane {
    /// Its number in the picture.
    var number: Int
    package var name: String
    package var detail: String
  }
  package private(set) var lanes: [Lane] = []
  private var positions: [Int]
  private let identities: [VCPUIdentity]

  package init(_ picture: TimelinePicture, _ analysis: Analysis) {
    identities = picture.vcpus.map(\.identity)
    positions = Array(repeating: -1, count: picture.vcpus.count)
    let processes = Set(analysis.vcpus.map(\.pid)).count
    for vcpu in analysis.vcpus {
      let number = picture.vcpus.indices.first {
        positions[$0] < 0 && Self.isSame(picture.vcpus[$0].identity, vcpu.identity)
      }
      guard let number else { continue }
      positions[number] = lanes.count
      lanes.append(
        Lane(
          number: number,
          name: (processes > 1 && vcpu.pid >= 0 ? "VM \(vcpu.pid) " : "")
            + "vCPU \(vcpu.identity.number.map(String.init) ?? "?")",
          detail: (vcpu.vmm.map { "\($0), " } ?? "") + "tid \(vcpu.tid)"))
    }
    for number in picture.vcpus.indices where positions[number] < 0 {
      let identity = picture.vcpus[number].identity
      positions[number] = lanes.count
      lanes.append(
        Lane(
          number: number, name: "vCPU \(identity.number.map(String.init) ?? "?")",
          detail: identity.thread.map { "tid \($0)" } ?? ""))
    }
  }

  /// Where the picture's vCPU `number` stands.
  func position(_ number: Int) -> Int {
    positions.indices.contains(number) ? positions[number] : -1
  }

  func position(of identity: VCPUIdentity) -> Int? {
    lanes.firstIndex { Self.isSame(identities[$0.number], identity) }
  }

  private static func isSame(_ a: VCPUIdentity, _ b: VCPUIdentity) -> Bool {
    a.pointer != nil || b.pointer != nil ? a.pointer == b.pointer : a.thread == b.thread
  }
}
