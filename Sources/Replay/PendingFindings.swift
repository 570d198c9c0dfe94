import Ptrauth

/// A run that entered with a bit set after a load that should have cleared it, or whose guest exit restored keys
/// that are not its thread's. It rests on nothing having come in between: no trap, no return to user mode.
struct PendingFinding {
  var vcpu: Int
  /// The exit of the vCPU's run before, if it was seen.
  var lastExit: Moment?
  /// The load that should have cleared the bits; nil: a trap set them since.
  var load: Moment?
  var enter: Moment
  var exit: UInt64
  var bits: EnableBits
  /// Why the load may not be what left the bits set.
  var doubt: StaleDoubt?
  /// The host slots of the pCPU hold other keys than its thread's, if that is known.
  var foreign: ForeignSlots?
  /// The thread's own keys are known from a save of what a guest exit had restored: that may have failed instead.
  var ownMayBeGuests = false
  /// What is known of the slots.
  var saveLevel: Finding.Level {
    switch foreign {
    case .keysOf: .suspected
    case .differ, .anothers: ownMayBeGuests ? .suspected : .proved
    case .process, nil: .proved
    }
  }
  /// What is known of the load.
  var level: Finding.Level { doubt == nil ? .proved : .suspected }
  /// Occurrences merged into this one.
  var count: UInt64 = 1
  /// It was said already, of a recording that is still being made (``Replayer/announce(endedBefore:)``).
  var isAnnounced = false

  /// The window in which nothing may have been lost.
  var begin: UInt64 { first.time }
  /// The vCPU ran before, and what was seen of that run is behind a wall.
  var followsWall = false
  /// The pCPU the window begins on; nil: on whichever that was.
  var from: Int32? { followsWall ? nil : first.cpu }

  private var first: Moment {
    switch (load, foreign) {
    case (nil, let foreign?): foreign.own ?? enter
    case (let load, _): lastExit ?? load ?? enter
    }
  }
}

/// Findings that wait until every pCPU's events have passed them without a loss: a loss is known
/// only when its pCPU writes again.
///
///     pCPU 0   trap ... (lost)                    LOST ── the window was not seen whole: dropped
///     pCPU 1          load ── flush(API=1) ┄ waits ┄┄┄┄┄┄┄┄┄┄┄┘
///              └────── window ────────┘
package struct PendingFindings {
  private var waiting: [PendingFinding] = []
  /// No waiting one ends before this.
  private(set) var earliestEnd = UInt64.max

  /// More than this are not kept apart: a pCPU that never writes again would hold them all.
  package static let limit = 1 << 14

  var isEmpty: Bool { waiting.isEmpty }

  /// How many were ever added.
  private(set) var total = 0

  mutating func add(_ found: PendingFinding) {
    total += 1
    earliestEnd = min(earliestEnd, found.exit)
    if waiting.count >= Self.limit,
      let same = waiting.lastIndex(where: {
        $0.vcpu == found.vcpu && $0.level == found.level && ($0.load == nil) == (found.load == nil)
          && $0.saveLevel == found.saveLevel
          && ($0.foreign?.isLike(found.foreign) ?? (found.foreign == nil))
      })
    {
      waiting[same].count += found.count
      waiting[same].exit = max(waiting[same].exit, found.exit)
    } else {
      waiting.append(found)
    }
  }

  /// The handler of this trap set the bits of its own vCPU.
  mutating func clear(thread: Int32, begin: UInt64) {
    for index in waiting.indices {
      if case .handler(thread, begin) = waiting[index].doubt { waiting[index].doubt = nil }
    }
  }

  /// Removes and returns what ended before `time`.
  mutating func take(upTo time: UInt64) -> [PendingFinding] {
    guard earliestEnd < time else { return [] }
    let ready = waiting.filter { $0.exit < time }
    waiting.removeAll { $0.exit < time }
    earliestEnd = waiting.map(\.exit).min() ?? .max
    return ready
  }

  /// Those that ended before `time`, fit and were not announced yet; now they are.
  mutating func announce(before time: UInt64, where fits: (PendingFinding) -> Bool)
    -> [PendingFinding]
  {
    guard earliestEnd < time else { return [] }
    var found: [PendingFinding] = []
    for index in waiting.indices where waiting[index].exit < time && !waiting[index].isAnnounced {
      guard fits(waiting[index]) else { continue }
      waiting[index].isAnnounced = true
      found.append(waiting[index])
    }
    return found
  }

  mutating func takeAll() -> [PendingFinding] { take(upTo: .max) }

  /// Drops what leans across a loss in `begin...end`. Returns what was announced of it.
  mutating func drop(from begin: UInt64, to end: UInt64) -> [PendingFinding] {
    let dropped = waiting.filter { $0.begin <= end && begin <= $0.exit }
    waiting.removeAll { $0.begin <= end && begin <= $0.exit }
    earliestEnd = waiting.map(\.exit).min() ?? .max
    return dropped.filter(\.isAnnounced)
  }
}
