import Trace

/// pCPUs by how far their events have come: the one that lags behind all others is found without a look at each.
struct Laggards {
  /// By where they were when that was asked last.
  private var order = StreamHeap()

  /// The pCPU is new, or its events have gone back to `time`.
  mutating func add(_ cpu: Int32, at time: UInt64) { order.add(Int(cpu), time: time) }

  mutating func first(of cpus: RecordTable<CPURecord>) -> CPURecord? {
    while let (then, number) = order.first, let cpu = cpus.all[Int32(number)] {
      if cpu.lastTime == then { return cpu }
      order.replaceFirst(time: cpu.lastTime)
    }
    return nil
  }
}
