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
  /// A kvm_entry followed: the handler is through.
  var isThrough = false
  /// The slots behind it were compared with those before.
  var isCompared = false
}

/// The keys that a thread's last host save left in the slots. In memory only, to be compared.
struct OwnKeys {
  var keys: KeySlots
  /// The save.
  var at: Moment
}

/// What of a thread's host keys was sampled.
struct HostKeyWatch {
  var own: OwnKeys?
  /// What `own` was before it was forgotten.
  var earlier: OwnKeys?
  /// The other keys that its last guest exit restored.
  var foreign: KeySlots?
  /// The thread was in user mode since its last save, so its keys may have changed.
  var mayHaveChanged = true
  var save: OpenSave?
  /// A guest exit may have restored other keys than its own since the last switch to it.
  var isForeign = Bit.unknown

  /// What a save wrote shows that the thread did not change its keys in user mode: each register holds what was
  /// learned of the thread, or what a guest exit restored in its place. (A kernel may set some registers right at
  /// the return to user mode and the others at a task switch only: APIA since 5.8.)
  func areUnchanged(in slots: KeySlots) -> Bool {
    guard let earlier = (own ?? earlier)?.keys else { return false }
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
}

/// Whose keys a stale enable ran on: not its own thread's.
enum ForeignSlots {
  /// Those of another process, which saved them last.
  case process(Int32)
  /// They differ from those that the thread itself had saved.
  case differ(from: Moment)

  func isLike(_ other: ForeignSlots?) -> Bool {
    switch (self, other) {
    case (.process(let a), .process(let b)): a == b
    case (.differ, .differ): true
    default: false
    }
  }
}
