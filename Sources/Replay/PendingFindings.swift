import Ptrauth
import Trace

/// A run that entered with a bit set after a load that should have cleared it, or whose guest exit restored keys
/// that are not its thread's. It rests on nothing having come in between: no trap, no return to user mode.
struct PendingFinding {
  var vcpu: Int
  /// The exit of the vCPU's run before, if it was seen.
  var lastExit: Moment?
  /// The load that should have cleared the bits; nil: a trap set them since.
  var load: Moment?
  /// It came then or later, in ns.
  var loadedSince: UInt64 = 0
  var enter: Moment
  var exit: UInt64
  var bits: EnableBits
  /// Why the load may not be what left the bits set.
  var doubt: StaleDoubt?
  /// The host slots of the pCPU hold other keys than its thread's, if that is known.
  var foreign: ForeignSlots?
  /// The thread's own keys are known from a save of what a guest exit had restored: that may have failed instead.
  var ownMayBeGuests = false
  /// What it would be reported as.
  var rules: [Rule] {
    (load == nil ? [] : [.staleEnable]) + (foreign == nil ? [] : [.missedHostSave])
  }
  /// The slots hold other keys than the thread's own, and those may be what a guest exit had left it with.
  var restoreMayBeAtFault: Bool {
    switch foreign {
    case .differ, .anothers: ownMayBeGuests
    case .keysOf, .process, nil: false
    }
  }
  /// What is known of the slots.
  var saveLevel: Finding.Level {
    switch foreign {
    // Whoever else may save the host's keys was not seen.
    case .keysOf, .process: .suspected
    case .differ, .anothers, nil: restoreMayBeAtFault ? .suspected : .proved
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

  /// Those of one kind can be counted as one.
  struct Kind: Hashable {
    var vcpu: Int
    var level: Finding.Level
    var hasLoad: Bool
    var followsWall: Bool
    var saveLevel: Finding.Level
    var foreign: ForeignSlots.Kind?
  }
  var kind: Kind {
    Kind(
      vcpu: vcpu, level: level, hasLoad: load != nil, followsWall: followsWall,
      saveLevel: saveLevel, foreign: foreign?.kind)
  }
}

/// Findings that wait until every pCPU's events have passed them without a loss: a loss is known
/// only when its pCPU writes again.
///
///     pCPU 0   trap ... (lost)                    LOST ── the window was not seen whole: dropped
///     pCPU 1          load ── flush(API=1) ┄ waits ┄┄┄┄┄┄┄┄┄┄┄┘
///              └────── window ────────┘
package struct PendingFindings {
  /// By number, in the order in which they were added.
  private var waiting: [Int: PendingFinding] = [:]
  /// Their numbers: the one that ends first is first. No time is later than the end.
  private var byEnd = StreamHeap()
  /// The one that ends last is first. Entries of other ends than theirs, and of none that waits, count for nothing.
  private var byLateEnd = StreamHeap()
  /// Ascending; those that do not wait, or are of another kind by now, count for nothing.
  private var ofKind: [PendingFinding.Kind: [Int]] = [:]
  /// Those that are in doubt because of a trap's handler.
  private var ofHandler: [Handler: [Int]] = [:]

  private struct Handler: Hashable {
    var thread: Int32
    var begin: UInt64
  }

  /// More than this are not kept apart: a pCPU that never writes again would hold them all.
  package static let limit = 1 << 14

  var isEmpty: Bool { waiting.isEmpty }

  /// How many were ever added.
  private(set) var total = 0

  mutating func add(_ found: PendingFinding) {
    total += 1
    if waiting.count >= Self.limit, let same = last(of: found.kind), var known = waiting[same] {
      known.count += found.count
      if found.exit > known.exit {
        known.exit = found.exit
        noteLateEnd(same, found.exit)
      }
      waiting[same] = known
      return
    }
    waiting[total] = found
    byEnd.add(total, time: found.exit)
    noteLateEnd(total, found.exit)
    ofKind[found.kind, default: []].append(total)
    noteHandler(total, found.doubt)
  }

  private mutating func noteHandler(_ number: Int, _ doubt: StaleDoubt?) {
    guard case .handler(let thread, let begin) = doubt else { return }
    ofHandler[Handler(thread: thread, begin: begin), default: []].append(number)
  }

  private mutating func noteLateEnd(_ number: Int, _ end: UInt64) {
    byLateEnd.add(number, time: UInt64.max - end)
  }

  private mutating func last(of kind: PendingFinding.Kind) -> Int? {
    while let number = ofKind[kind]?.last {
      if waiting[number]?.kind == kind { return number }
      ofKind[kind]?.removeLast()
    }
    return nil
  }

  subscript(number: Int) -> PendingFinding? { waiting[number] }

  /// Those that this trap's handler leaves in doubt: whoever takes them sets their doubt anew.
  mutating func takeDoubted(thread: Int32, begin: UInt64) -> [Int] {
    ofHandler.isEmpty
      ? [] : ofHandler.removeValue(forKey: Handler(thread: thread, begin: begin)) ?? []
  }

  mutating func setDoubt(of number: Int, _ doubt: StaleDoubt?) {
    guard var found = waiting[number] else { return }
    found.doubt = doubt
    waiting[number] = found
    noteHandler(number, doubt)
    if found.doubt == nil { ofKind[found.kind, default: []].insert(ascending: number) }
  }

  /// Removes and returns what ended before `time`.
  mutating func take(upTo time: UInt64) -> [PendingFinding] {
    var numbers: [Int] = []
    while let first = byEnd.first, first.time < time {
      let end = waiting[first.stream]?.exit
      if let end, end >= time {
        byEnd.replaceFirst(time: end)
        continue
      }
      byEnd.removeFirst()
      if end != nil { numbers.append(first.stream) }
    }
    return remove(numbers)
  }

  private mutating func remove(_ numbers: [Int]) -> [PendingFinding] {
    guard !numbers.isEmpty else { return [] }
    let found = numbers.sorted().compactMap { waiting.removeValue(forKey: $0) }
    if waiting.isEmpty {
      (byEnd, byLateEnd, ofKind, ofHandler) = (StreamHeap(), StreamHeap(), [:], [:])
    }
    return found
  }

  /// Those that ended before `time`, fit and were not announced yet; now they are.
  mutating func announce(before time: UInt64, where fits: (PendingFinding) -> Bool)
    -> [PendingFinding]
  {
    guard let first = byEnd.first, first.time < time else { return [] }
    var found: [PendingFinding] = []
    for number in waiting.keys.sorted() {
      guard let one = waiting[number], one.exit < time, !one.isAnnounced, fits(one) else {
        continue
      }
      waiting[number]?.isAnnounced = true
      found.append(waiting[number] ?? one)
    }
    return found
  }

  mutating func takeAll() -> [PendingFinding] { take(upTo: .max) }

  /// Drops what leans across a loss in `begin...end`. Returns what was announced of it.
  mutating func drop(from begin: UInt64, to end: UInt64) -> [PendingFinding] {
    var (numbers, others): ([Int], [Int]) = ([], [])
    while let last = byLateEnd.first {
      let exit = UInt64.max - last.time
      guard begin <= exit else { break }
      byLateEnd.removeFirst()
      guard let found = waiting[last.stream], found.exit == exit else { continue }
      if found.begin <= end { numbers.append(last.stream) } else { others.append(last.stream) }
    }
    for number in others { if let found = waiting[number] { noteLateEnd(number, found.exit) } }
    return remove(numbers).filter(\.isAnnounced)
  }
}

extension [Int] {
  fileprivate mutating func insert(ascending number: Int) {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if self[middle] < number { low = middle + 1 } else { high = middle }
    }
    insert(number, at: low)
  }
}
