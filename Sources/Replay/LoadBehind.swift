import Ptrauth
import Trace

/// A load that a run is the first behind: what clears the bits that the run's entry finds.
struct LoadBehind {
  var at: Moment
  /// No event showed it: it came at some time since the last run.
  var isImplied: Bool
  /// A handler may have been under way over it, and set the bits behind it.
  var isTainted = false
  /// It found bits set, which it had to clear, or a load since the last run did.
  var hadBits = false
  /// The shadow as it found it, where it was sampled.
  var found: EnableBits?
}
