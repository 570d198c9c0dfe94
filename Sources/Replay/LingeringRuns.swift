/// Threads whose run a wall left open, because its pCPU lost nothing: a later loss may be on that.
struct LingeringRuns {
  /// By pCPU.
  private typealias Threads = [Int32: Set<Int32>]

  private var threads: Threads = [:]
  /// Those that a silence passed over since: another changes nothing.
  private var silenced: Threads = [:]

  /// The threads that a loss on `cpu` (-1: on any) concerns. They linger no longer.
  mutating func takeLost(on cpu: Int32) -> [Int32] {
    guard cpu < 0 else {
      return Array(threads.removeValue(forKey: cpu) ?? [])
        + Array(silenced.removeValue(forKey: cpu) ?? [])
    }
    defer { self = LingeringRuns() }
    return Array(threads.values.joined()) + Array(silenced.values.joined())
  }

  /// The threads that a silence concerns.
  mutating func takeSilent() -> [Int32] {
    defer { threads = [:] }
    return Array(threads.values.joined())
  }

  mutating func add(_ tid: Int32, on cpu: Int32, isSilenced: Bool) {
    if isSilenced {
      silenced[cpu, default: []].insert(tid)
    } else {
      threads[cpu, default: []].insert(tid)
    }
  }
}
