import Glibc

/// Seconds that this thread needed of a processor: the same however busy the machine is with other things.
func processorTime(_ body: () throws -> Void) rethrows -> Double {
  var (begin, end) = (timespec(), timespec())
  unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin)
  try body()
  unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end)
  return Double(end.tv_sec - begin.tv_sec) + Double(end.tv_nsec - begin.tv_nsec) / 1e9
}
