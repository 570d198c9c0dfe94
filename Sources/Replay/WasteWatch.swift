import Ptrauth

/// A ptrauth trap whose handler was seen.
struct HandledTrap {
  var exit: Moment
  /// Guest address of the instruction.
  var pc: UInt64
}

/// What the cost rules keep of one vCPU. Nothing here grows with the recording.
struct WasteWatch {
  /// A ptrauth trap that was answered and that no run has made use of yet; a load since.
  var answered: Moment?
  var loadSince: Moment?
  /// A trap of this load interval whose handler was seen, before the next entry.
  var handled: HandledTrap?
  /// The last exit of this load interval, if it left bits set.
  var enabled: Moment?
  var thrash = ThrashPhase()
  var storm = UndefStorm()

  mutating func loaded(_ at: Moment) {
    if answered != nil { loadSince = at }
    handled = nil
    enabled = nil
  }

  mutating func wall() {
    answered = nil
    loadSince = nil
    handled = nil
    enabled = nil
    thrash = ThrashPhase()
    storm = UndefStorm()
  }
}

/// Consecutive load intervals of which at least 90 % took a ptrauth trap. A phase begins with an interval
/// that did and ends before the one that would take it below.
///
///     trapped?   . 1 1 1 1 1 1 1 1 1 . 1 1 . . 1
///                  └── 11 of 12 ───────────┘ 2 more would be 11 of 13
package struct ThrashPhase {
  package struct Sum: Equatable {
    package var intervals: UInt64
    package var trapped: UInt64

    package init(intervals: UInt64 = 0, trapped: UInt64 = 0) {
      self.intervals = intervals
      self.trapped = trapped
    }
  }
  package private(set) var sum = Sum()
  private(set) var begin: Moment?
  private(set) var end: Moment?
  /// Not yet in the sum: what it trapped on may be said late.
  private var last: (trapped: Bool, at: Moment)?

  package init() {}

  /// Shorter phases are no thrash.
  package static let least: UInt64 = 8

  /// The next interval with a run. True if the phase before is over: read ``sum`` first.
  package func wouldEnd() -> Bool { last.map { !extends($0.trapped) } ?? false }

  package mutating func add(trapped: Bool, _ at: Moment) {
    settle()
    last = (trapped, at)
  }

  mutating func correctLast() { last?.trapped = true }

  /// Takes the last interval into the sum, or begins anew.
  package mutating func settle() {
    guard let (trapped, at) = last else { return }
    last = nil
    guard extends(trapped) else {
      self = ThrashPhase()
      return
    }
    if sum.intervals == 0 { begin = at }
    sum.intervals += 1
    if trapped { sum.trapped += 1 }
    end = at
  }

  private func extends(_ trapped: Bool) -> Bool {
    (sum.trapped + (trapped ? 1 : 0)) * 10 >= (sum.intervals + 1) * 9
  }
}

/// Traps of a vCPU without ptrauth, by the second.
struct UndefStorm {
  private var begin: Moment?
  private var count: UInt64 = 0

  /// As many within a second are a storm.
  static let least: UInt64 = 100
  static let span: UInt64 = 1_000_000_000

  /// How many traps this one adds to a storm: none, the first hundred at once, then one by one.
  mutating func add(_ at: Moment) -> (traps: UInt64, begin: Moment)? {
    if let begin, at.time < begin.time &+ Self.span {
      count += 1
      if count == Self.least { return (count, begin) }
      return count > Self.least ? (1, begin) : nil
    }
    begin = at
    count = 1
    return nil
  }
}

/// Who saved host keys on a pCPU.
struct HostSaver {
  var tid: Int32
  var pid: Int32
  var at: Moment
  /// See ``Walls/saverEra``.
  var era: UInt64
}
