/// What walls left behind, so that the next one need not look at everything again.
struct Walls {
  var runs = LingeringRuns()
  var guests = GuestCPUs()
  /// pCPUs that events reached since the last wall of all, and that were not busy when it fell silent.
  var idleCPUs: Set<Int32> = []
  /// Counts the times at which nobody was known any longer to have saved host keys last, on any pCPU.
  var saverEra: UInt64 = 0

  mutating func takeIdleCPUs() -> [Int32] {
    defer { idleCPUs = [] }
    return Array(idleCPUs)
  }
}
