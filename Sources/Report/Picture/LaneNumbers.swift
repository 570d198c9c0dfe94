import Replay

/// Numbers vCPUs as they appear. A vCPU that was known by its thread keeps its number when its pointer
/// becomes known.
struct LaneNumbers {
  private(set) var identities: [VCPUIdentity] = []
  private var byPointer: [UInt64: Int] = [:]
  private var byThread: [Int32: Int] = [:]

  mutating func number(_ identity: VCPUIdentity) -> Int {
    if let known = find(identity) {
      identities[known] = identity
      if let pointer = identity.pointer { byPointer[pointer] = known }
      return known
    }
    let lane = identities.count
    identities.append(identity)
    if let pointer = identity.pointer {
      byPointer[pointer] = lane
    } else if let thread = identity.thread {
      byThread[thread] = lane
    }
    return lane
  }

  /// The number of a vCPU that appeared before.
  func find(_ identity: VCPUIdentity) -> Int? {
    if let pointer = identity.pointer, let known = byPointer[pointer] { return known }
    guard let thread = identity.thread, let known = byThread[thread] else { return nil }
    let pointer = identities[known].pointer
    return pointer == nil || pointer == identity.pointer ? known : nil
  }
}
