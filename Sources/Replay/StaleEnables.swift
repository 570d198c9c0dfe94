import Ptrauth

/// A run that entered with a bit set after a load that should have cleared it. It rests on no trap
/// having come in between.
struct StaleEnable {
  var vcpu: Int
  /// The exit of the vCPU's run before, if it was seen.
  var lastExit: Moment?
  var load: Moment
  var enter: Moment
  var exit: UInt64
  var bits: EnableBits
  /// The host slots of the pCPU hold other keys than its thread's, if that is known.
  var foreign: ForeignSlots?
  /// Occurrences merged into this one.
  var count: UInt64 = 1
  /// It was said already, of a recording that is still being made (``Replayer/announce(endedBefore:)``).
  var isAnnounced = false

  /// The window in which nothing may have been lost.
  var begin: UInt64 { (lastExit ?? load).time }
  /// The pCPU the window begins on.
  var from: Int32 { (lastExit ?? load).cpu }
}

/// Stale enables that wait until every pCPU's events have passed them without a loss: a loss is known
/// only when its pCPU writes again.
///
///     pCPU 0   trap ... (lost)                    LOST ── the window was not seen whole: dropped
///     pCPU 1          load ── flush(API=1) ┄ waits ┄┄┄┄┄┄┄┄┄┄┄┘
///              └────── window ────────┘
struct StaleEnables {
  private var waiting: [StaleEnable] = []
  /// No waiting one ends before this.
  private(set) var earliestEnd = UInt64.max

  /// More than this are not kept apart: a pCPU that never writes again would hold them all.
  static let limit = 1 << 14

  var isEmpty: Bool { waiting.isEmpty }

  mutating func add(_ found: StaleEnable) {
    earliestEnd = min(earliestEnd, found.exit)
    if waiting.count >= Self.limit,
      let same = waiting.lastIndex(where: {
        $0.vcpu == found.vcpu && ($0.foreign?.isLike(found.foreign) ?? (found.foreign == nil))
      })
    {
      waiting[same].count += found.count
      waiting[same].exit = max(waiting[same].exit, found.exit)
    } else {
      waiting.append(found)
    }
  }

  /// Removes and returns what ended before `time`.
  mutating func take(upTo time: UInt64) -> [StaleEnable] {
    guard earliestEnd < time else { return [] }
    let ready = waiting.filter { $0.exit < time }
    waiting.removeAll { $0.exit < time }
    earliestEnd = waiting.map(\.exit).min() ?? .max
    return ready
  }

  /// Those that ended before `time`, fit and were not announced yet; now they are.
  mutating func announce(before time: UInt64, where fits: (StaleEnable) -> Bool) -> [StaleEnable] {
    guard earliestEnd < time else { return [] }
    var found: [StaleEnable] = []
    for index in waiting.indices where waiting[index].exit < time && !waiting[index].isAnnounced {
      guard fits(waiting[index]) else { continue }
      waiting[index].isAnnounced = true
      found.append(waiting[index])
    }
    return found
  }

  mutating func takeAll() -> [StaleEnable] { take(upTo: .max) }

  /// Drops what leans across a loss in `begin...end`. Returns what was announced of it.
  mutating func drop(from begin: UInt64, to end: UInt64) -> [StaleEnable] {
    let dropped = waiting.filter { $0.begin <= end && begin <= $0.exit }
    waiting.removeAll { $0.begin <= end && begin <= $0.exit }
    earliestEnd = waiting.map(\.exit).min() ?? .max
    return dropped.filter(\.isAnnounced)
  }
}
