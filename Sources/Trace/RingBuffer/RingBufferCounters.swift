import Bytes

/// What the ring buffer itself counted as lost: tracefs' `per_cpu/cpuN/stats` at the end of the
/// recording, one text per CPU (kernel/trace/trace.c, tracing_stats_read()).
struct RingBufferCounters {
  /// Lost events by instance and CPU: overwritten before they were read (`overrun`), which the next
  /// page tells too, and those of ``untold``.
  private(set) var lost: [String: [Int32: UInt64]] = [:]
  /// Events that no page tells of: not written as the buffer was full, of events being written
  /// (`commit overrun`) or of events in a buffer that may not be overwritten (`dropped events`). Both
  /// happen when a page is full (rb_move_tail()), so they are missing between two pages.
  private(set) var untold: [String: [Int32: UInt64]] = [:]
  /// CPUs of the top instance with statistics.
  private(set) var cpuCount = 0
  private var instance = ""

  /// A CPUSTAT option: the text of one CPU, or "Buffer: name" before those of an instance.
  mutating func take(_ option: RawSpan) { take(option, on: nil) }

  /// The text of one CPU of the top instance, as it is in tracefs: it does not name the CPU.
  mutating func take(_ stats: RawSpan, cpu: UInt32) {
    cpuCount += 1
    take(stats, on: Int32(truncatingIfNeeded: cpu))
  }

  private mutating func take(_ option: RawSpan, on given: Int32?) {
    var cpu = given
    for line in option.text().split(separator: "\n") {
      guard let colon = line.firstIndex(of: ":") else { continue }
      let value = line[line.index(after: colon)...].drop { $0 == " " }
      switch line[..<colon] {
      case "Buffer": instance = String(value)
      case "CPU":
        cpu = Int32(value)
        if cpu != nil, instance.isEmpty { cpuCount += 1 }
      case "overrun", "commit overrun", "dropped events":
        guard let cpu, let count = UInt64(value), count > 0 else { continue }
        lost[instance, default: [:]][cpu, default: 0].saturatingAdd(count)
        if line[..<colon] != "overrun" {
          untold[instance, default: [:]][cpu, default: 0].saturatingAdd(count)
        }
      default: break
      }
    }
  }
}
