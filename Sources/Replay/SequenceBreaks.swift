/// Sequences of events that cannot be without missing ones, such as a kvm_exit without its kvm_entry.
///
/// At both ends of a recording they are no loss: a recorder turns its events on and off one by one and
/// pCPU by pCPU, so that for a moment it has some of them only.
package struct SequenceBreaks {
  /// Nanoseconds at either end that belong to turning on and off.
  package static let edge: UInt64 = 100_000_000

  private var settled: UInt64 = 0
  /// Times of those that may yet turn out to be at the end.
  private var recent: [UInt64] = []
  private static let limit = 4096

  mutating func note(_ time: UInt64, since begin: UInt64) {
    guard time >= begin, time - begin >= Self.edge else { return }
    let old = recent.count { time >= $0 && time - $0 >= Self.edge }
    settled += UInt64(old)
    recent.removeFirst(old)
    if recent.count < Self.limit { recent.append(time) } else { settled += 1 }
  }

  /// How many there are, the recording ending at `end`.
  func count(until end: UInt64) -> UInt64 {
    settled + UInt64(recent.count { end >= $0 && end - $0 >= Self.edge })
  }
}
