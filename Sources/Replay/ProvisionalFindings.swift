import Ptrauth

/// Findings that rest on something not having happened. They stand once every pCPU's events have
/// passed them without a loss: a loss is known only when its pCPU writes again.
///
///     pCPU 0   trap ... (lost)                    LOST ── the window was not seen whole: dropped
///     pCPU 1          load ── flush(API=1) ┄ provisional ┄┄┄┄┄┘
///              └────── window ────────┘
struct ProvisionalFindings {
  struct Pending {
    var rule: Rule
    var vcpu: Int
    /// The pCPU the window begins on.
    var from: Int32
    /// The window in which nothing may have been lost.
    var begin: UInt64
    var end: UInt64
    var at: Moment
    var statement: String
    var evidence: [Evidence]
    /// Findings that follow from this one.
    var consequences: [Pending] = []
  }
  private var pending: [Pending] = []

  var isEmpty: Bool { pending.isEmpty }

  mutating func add(_ finding: Pending) { pending.append(finding) }

  /// Removes and returns what ended before `time`.
  mutating func take(upTo time: UInt64) -> [Pending] {
    let ready = pending.filter { $0.end < time }
    if !ready.isEmpty { pending.removeAll { $0.end < time } }
    return ready
  }

  mutating func takeAll() -> [Pending] {
    defer { pending = [] }
    return pending
  }

  /// Drops what leans across a loss in `begin...end`.
  mutating func drop(from begin: UInt64, to end: UInt64) {
    pending.removeAll { $0.begin <= end && begin <= $0.end }
  }
}
