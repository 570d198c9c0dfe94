import Glibc

/// Seconds that this thread needed of a processor: the same however busy the machine is with other things.
func processorTime(_ body: () throws -> Void) rethrows -> Double {
  var (begin, end) = (timespec(), timespec())
  unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin)
  try body()
  unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end)
  return Double(end.tv_sec - begin.tv_sec) + Double(end.tv_nsec - begin.tv_nsec) / 1e9
}

/// `many`, of four times as much as `few`, takes about four times as long, and not sixteen. What else the machine does
/// can only be against it, as its caches are everybody's: once in three tries it has to hold.
///
/// - Parameters: seconds of ``processorTime(_:)``.
func isLinear(_ few: () -> Double, _ many: () -> Double) -> Bool {
  (0..<3).contains { _ in
    let few = few()
    return many() < 12 * few + 0.05
  }
}
