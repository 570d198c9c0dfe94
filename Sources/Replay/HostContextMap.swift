/// Which struct kvm_cpu_context a pCPU's vCPUs were seen to point at. Per-CPU data: one pointer
/// belongs to one pCPU.
struct HostContextMap {
  private var byPointer: [UInt64: Moment] = [:]
  private var byCPU: [Int32: (pointer: UInt64, seen: Moment)] = [:]

  /// Notes that `pointer` was in force at `at`. Returns the earlier sight that contradicts it:
  /// the same pointer on another pCPU, or another pointer on this pCPU.
  mutating func note(_ pointer: UInt64, _ at: Moment) -> Contradiction? {
    guard pointer != 0 else { return nil }
    if let other = byPointer[pointer], other.cpu != at.cpu { return .samePointer(other) }
    if let own = byCPU[at.cpu], own.pointer != pointer { return .otherPointer(own.pointer, own.seen) }
    byPointer[pointer] = at
    byCPU[at.cpu] = (pointer, at)
    return nil
  }

  enum Contradiction {
    case samePointer(Moment)
    case otherPointer(UInt64, Moment)
  }
}
