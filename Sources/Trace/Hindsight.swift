/// How far something had come some time ago, by the clock of who receives it.
package struct Hindsight {
  /// In milliseconds.
  private let delay: UInt64
  /// Oldest first; times never fall.
  private var marks: [(now: UInt64, time: UInt64)] = []
  /// Marks are at least so far apart, in milliseconds.
  private let step: UInt64

  package init(milliseconds delay: UInt64) {
    self.delay = delay
    step = Swift.max(1, delay / 8)
  }

  /// Notes that `time` is reached at `now`, in milliseconds. Returns what had been reached the delay ago;
  /// nil when nothing is known of then.
  package mutating func note(_ time: UInt64, at now: UInt64) -> UInt64? {
    if marks.isEmpty || now >= marks[marks.count - 1].now + step {
      marks.append((now, Swift.max(time, marks.last?.time ?? 0)))
    }
    var found: UInt64?
    while let first = marks.first, now >= first.now + delay {
      found = first.time
      // The newest of those is kept: it is the answer until the next one is old enough.
      guard marks.count > 1, now >= marks[1].now + delay else { break }
      marks.removeFirst()
    }
    return found
  }
}
