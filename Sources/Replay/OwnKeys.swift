import Ptrauth
import Trace

/// A host save of a thread, from the entry of the trap handler until the slots were sampled again.
struct OpenSave {
  /// The host context that was in force.
  var context: UInt64
  /// What its slots held before.
  var before: KeySlots
  var at: Moment
  /// What was live then may have been another thread's keys.
  var mayBeForeign: Bool
  /// What was live then had been restored by a guest exit, and no task switch came since.
  var ofRestored: Bool
  /// What was live then as guest exit had left it: if that restored nothing, this save wrote the guest's keys.
  var leftByExit: RegisterSet
  /// A kvm_entry followed: the handler is through.
  var isThrough = false
  /// The slots behind it were compared with those before.
  var isCompared = false
}

/// Keys of a thread, as the host slots held them after a save of its own. In memory only, to be compared.
struct OwnKeys {
  var keys: KeySlots
  /// The save.
  var at: Moment
  var basis: Basis
  /// What that save wrote had been restored by a guest exit: if it was not, the keys are a guest's.
  var isOfRestored = false

  enum Basis {
    /// The slots changed over the save, so it wrote them.
    case written
    /// A run restored them; whether the save wrote the same or nothing does not show.
    case restored
  }
}

/// What of a thread's host keys was sampled.
struct HostKeyWatch {
  /// Its keys since it was last in user mode.
  var own: OwnKeys?
  /// The last that a save was seen to write: it may have changed them since.
  var earlier: OwnKeys?
  /// The other keys that its last guest exit restored.
  var foreign: KeySlots?
  /// The thread was in user mode since its last save, so its keys may have changed.
  var mayHaveChanged = true
  var save: OpenSave?
  /// When its last handler returned that had been preempted; the slots were not sampled since.
  var preempted: Moment?
  /// Its last save may have been of another thread's keys.
  var savedForeign = false
  /// Its last guest exit restored its own keys, and no task switch installed them since.
  var isRestored = false
  /// Registers that nobody wrote since the last guest exit that had keys to restore.
  var leftByExit: RegisterSet = []
  /// A guest exit may have restored other keys than its own since the last switch to it.
  var isForeign = Bit.unknown

  /// Keys that were once certainly the thread's.
  var learned: OwnKeys? { own?.basis == .written ? own : earlier }

  /// How often its slots were compared with other processes' keys; a fault of the kind shows soon.
  var comparisons = 0
  static let mostComparisons = 256

  mutating func learn(_ keys: OwnKeys) {
    own = keys
    if keys.basis == .written { earlier = own }
  }

  /// What a save wrote shows that the thread did not change its keys in user mode: each register holds what was
  /// learned of the thread, or what a guest exit restored in its place. (A kernel may set some registers right at
  /// the return to user mode and the others at a task switch only: APIA since 5.8.)
  func areUnchanged(in slots: KeySlots) -> Bool {
    guard let earlier = learned?.keys else { return false }
    return (0..<10).allSatisfy { index in
      slots.isSame(index, as: earlier) || foreign.map { slots.isSame(index, as: $0) } ?? false
    }
  }

  mutating func wall() { self = HostKeyWatch(isForeign: .set) }
}

/// Whose keys guest exit restored.
enum RestoredKeys {
  case own
  /// Other keys than this save of the thread left.
  case others(than: Moment)
  /// Keys that another thread saved as its own, and this one had others at that moment.
  case anothers(since: Moment)
  /// Keys that a thread of this other process saved as its own, while another thread of this process had saved others.
  case otherProcess(Int32, since: Moment)
  /// The thread's own, but not each in its register.
  case moved(from: Moment, RegisterSet)

  /// Of the thread's own keys, the save that showed them.
  var own: Moment? {
    switch self {
    case .own: nil
    case .others(let at), .anothers(let at), .otherProcess(_, let at), .moved(let at, _): at
    }
  }
}

/// Whose keys a run restored: not its own thread's.
enum ForeignSlots {
  /// Those of another process, which saved them last.
  case process(Int32)
  /// They differ from those that the thread itself had saved.
  case differ(from: Moment)
  /// They are another thread's, and this one had others at this moment.
  case anothers(since: Moment)
  /// They are those of a thread of another process, and another thread of this process had others.
  case keysOf(Int32, since: Moment)

  /// The save that shows whose they are not.
  var own: Moment? {
    switch self {
    case .process: nil
    case .differ(let at), .anothers(let at), .keysOf(_, let at): at
    }
  }

  enum Kind: Hashable {
    case process(Int32)
    case differ
    case anothers
    case keysOf(Int32)
  }
  var kind: Kind {
    switch self {
    case .process(let process): .process(process)
    case .differ: .differ
    case .anothers: .anothers
    case .keysOf(let process, _): .keysOf(process)
    }
  }
}

extension KeySlots {
  /// The registers of `set` whose values differ.
  func differing(from other: KeySlots, in set: RegisterSet = .all) -> RegisterSet {
    RegisterSet(
      rawValue: (0..<10).reduce(0) { $0 | (isSame($1, as: other) ? 0 : 1 << UInt16($1)) }
    ).intersection(set)
  }

  /// The registers of `set` that hold what `other` has in another register, and not in their own.
  func moved(from other: KeySlots, in set: RegisterSet) -> RegisterSet {
    differing(from: other, in: set).registers.reduce(into: RegisterSet()) { moved, register in
      let i = register.rawValue
      let isElsewhere = stride(from: i & 1, to: 10, by: 2).contains { isSame(i, as: other, at: $0) }
      if isElsewhere, !isZero(i), !isReset(i) { moved.insert(RegisterSet(register)) }
    }
  }

  /// The registers of two keys that hold, LO and HI, what `other` has of each other.
  func exchanged(from other: KeySlots) -> RegisterSet {
    func holds(_ key: Int, of place: Int) -> Bool {
      isSame(key, as: other, at: place) && isSame(key + 1, as: other, at: place + 1)
    }
    func isKey(_ key: Int) -> Bool {
      !(isZero(key) && isZero(key + 1)) && !isReset(key) && !holds(key, of: key)
    }
    var exchanged: RegisterSet = []
    for a in stride(from: 0, to: 10, by: 2) where isKey(a) {
      for b in stride(from: a + 2, to: 10, by: 2)
      where isKey(b) && holds(a, of: b) && holds(b, of: a) {
        for i in [a, a + 1, b, b + 1] { exchanged.insert(RegisterSet(rawValue: 1 << UInt16(i))) }
      }
    }
    return exchanged
  }
}
