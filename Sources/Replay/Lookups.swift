/// How many threads and vCPUs were gone through in search of one: no more than so many for each event, so that a file
/// that makes both many is read in time proportional to it.
struct Lookups {
  private var count: UInt64 = 0

  /// A search goes through so many at once, at any time.
  private static let always: UInt64 = 1 << 22
  /// Real recordings have several events for each search.
  private static let perEvent: UInt64 = 256

  /// Whether all of `others` may be gone through, behind so many events.
  mutating func mayVisit(_ others: Int, after events: UInt64) -> Bool {
    let sum = count &+ UInt64(others)
    guard sum <= Self.always &+ Self.perEvent &* events else { return false }
    count = sum
    return true
  }
}
