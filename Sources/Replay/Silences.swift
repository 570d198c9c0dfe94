/// Stretches in which no pCPU wrote an event, though a task was running.
///
/// A recorder that was paused (tracing_on, `perf record --control`) leaves no mark, so nothing is concluded across
/// them. Ticks and switches write events every few milliseconds on a pCPU that is not idle; one that has its ticks
/// off (nohz_full) may be silent of itself, and then nothing is lost but knowledge.
package struct Silences {
  /// Nanoseconds that are no silence yet: an emulated machine stands still for that long.
  package static let shortest: UInt64 = 200_000_000

  /// Nanoseconds in which a recorder may have been paused and gone on: between two ticks of a kernel with CONFIG_HZ_100
  /// nobody need write.
  package static let tick: UInt64 = 10_000_000

  /// The last such stretches, whatever ran.
  private var recent: [ClosedRange<UInt64>] = []
  private static let remembered = 4
  private(set) var longest: Silence?
  private(set) var count: UInt64 = 0

  /// No pCPU wrote an event between the two.
  mutating func pass(from: UInt64, to: UInt64) {
    guard to > from, to - from >= Self.tick else { return }
    if recent.count == Self.remembered { recent.removeFirst() }
    recent.append(from...to)
  }

  /// Between the two the recorder may have been paused.
  func isIn(_ from: Moment, _ to: Moment) -> Bool {
    recent.contains { from.time <= $0.lowerBound && $0.upperBound <= to.time }
  }

  func isIn(time from: UInt64, _ to: UInt64) -> Bool {
    recent.contains { from <= $0.lowerBound && $0.upperBound <= to }
  }

  mutating func note(_ silence: Silence) {
    count += 1
    if silence.nanoseconds > longest?.nanoseconds ?? 0 { longest = silence }
  }
}

/// One such stretch.
public struct Silence: Sendable, Hashable {
  /// The last event before it, and the first after it, in nanoseconds of the recording's clock.
  public var since: UInt64
  public var until: UInt64
  /// A pCPU that was not idle when it began.
  public var busyCPU: Int32
  public var nanoseconds: UInt64 { until - since }

  public init(since: UInt64, until: UInt64, busyCPU: Int32) {
    self.since = since
    self.until = max(since, until)
    self.busyCPU = busyCPU
  }
}
