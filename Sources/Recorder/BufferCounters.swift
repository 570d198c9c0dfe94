/// What the ring buffers say of themselves: per_cpu/cpuN/stats (tracing_stats_read(), kernel/trace/trace.c).
public struct BufferCounters: Sendable, Equatable {
  /// Events taken out.
  public var read: UInt64 = 0
  /// Events that are gone: overwritten, or never written.
  public var lost: UInt64 = 0
  /// Events that wait to be taken out.
  public var waiting: UInt64 = 0

  mutating func add(_ statistics: String) {
    for line in statistics.split(separator: "\n") {
      guard let colon = line.firstIndex(of: ":"),
        let value = UInt64(line[line.index(after: colon)...].drop { $0 == " " })
      else { continue }
      switch line[..<colon] {
      case "read events": read &+= value
      case "entries": waiting &+= value
      case "overrun", "commit overrun", "dropped events": lost &+= value
      default: break
      }
    }
  }

  /// The text of one CPU as it is when nobody takes anything out any more: what waits was dropped.
  ///
  /// - Parameter refused: events that were taken out and not written.
  package static func closed(_ statistics: String, refused: UInt64 = 0) -> String {
    var own = BufferCounters()
    own.add(statistics)
    guard own.waiting > 0 || refused > 0 else { return statistics }
    return statistics.split(separator: "\n").map { line in
      guard line.hasPrefix("dropped events:"), let last = line.split(separator: " ").last,
        let dropped = UInt64(last)
      else { return String(line) }
      return "dropped events: \(dropped &+ own.waiting &+ refused)"
    }.joined(separator: "\n") + "\n"
  }
}
