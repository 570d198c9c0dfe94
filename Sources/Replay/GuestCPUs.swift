import Trace

/// pCPUs that were in a guest when no event had reached them for a while: the first of them is found without a look at each.
struct GuestCPUs {
  private var byNumber = StreamHeap()

  mutating func add(_ number: Int32, _ cpu: CPURecord) {
    guard cpu.inGuest != nil, !cpu.isListedInGuest else { return }
    cpu.isListedInGuest = true
    byNumber.add(Int(number), time: UInt64(max(0, number)))
  }

  /// The first that still is in one.
  mutating func first(of cpus: RecordTable<CPURecord>) -> Int32? {
    while let number = byNumber.first?.stream, let cpu = cpus.all[Int32(number)] {
      if cpu.inGuest != nil { return Int32(number) }
      cpu.isListedInGuest = false
      byNumber.removeFirst()
    }
    return nil
  }
}
