/// Puts events that are known late in their place, as long as they are not later than `limit` others: a
/// run is said when it was decided, a load when its put came. Whatever comes later than that is
/// written where it comes; readers of the format sort.
struct EventOrder {
  static let limit = 1 << 16
  /// So many more come before they are sorted: what is in order already costs one comparison each.
  private static let batch = 1 << 14

  private struct Item {
    var time: UInt64
    /// Longer first: a slice before what it contains.
    var duration: UInt64
    var line: [UInt8]
  }

  /// In order but for what came since the last sort.
  private var waiting: [Item] = []

  mutating func add(_ time: UInt64, _ duration: UInt64, _ line: [UInt8]) {
    waiting.append(Item(time: time, duration: duration, line: line))
  }

  /// Removes and returns the lines that `limit` others follow, now and then.
  mutating func takeSettled() -> [[UInt8]] {
    waiting.count < Self.limit + Self.batch ? [] : take(waiting.count - Self.limit)
  }

  /// Removes and returns all lines.
  mutating func takeAll() -> [[UInt8]] { take(waiting.count) }

  private mutating func take(_ count: Int) -> [[UInt8]] {
    // The sort is stable: of two at one time, the one that came first.
    waiting.sort { ($0.time, $1.duration) < ($1.time, $0.duration) }
    defer { waiting.removeFirst(count) }
    return waiting.prefix(count).map(\.line)
  }
}
