/// Which struct kvm_cpu_context a pCPU's vCPUs were seen to point at. Per-CPU data: one pointer
/// belongs to one pCPU.
struct HostContextMap {
  /// Where a pointer was seen in force.
  struct Sight {
    var at: Moment
    var function: KernelFunction
  }
  private var byPointer: [UInt64: Sight] = [:]
  private var byCPU: [Int32: (pointer: UInt64, sight: Sight)] = [:]

  /// Notes that `pointer` was in force at `at`. Returns the earlier sight that contradicts it:
  /// the same pointer on another pCPU, or another pointer on this pCPU.
  mutating func note(_ pointer: UInt64, _ at: Moment, _ function: KernelFunction) -> Contradiction?
  {
    guard pointer != 0 else { return nil }
    if let other = byPointer[pointer], other.at.cpu != at.cpu { return .samePointer(other) }
    if let own = byCPU[at.cpu], own.pointer != pointer {
      return .otherPointer(own.pointer, own.sight)
    }
    let sight = Sight(at: at, function: function)
    byPointer[pointer] = sight
    byCPU[at.cpu] = (pointer, sight)
    return nil
  }

  enum Contradiction {
    case samePointer(Sight)
    case otherPointer(UInt64, Sight)
  }
}
