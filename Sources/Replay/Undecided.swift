import Ptrauth

/// What looked like a broken rule and may have another reason.
struct Undecided {
  enum Reason {
    /// Its thread may have run where nothing was recorded.
    case skippedPlace
    /// No pCPU wrote an event within the run: the recorder may have been paused, and the run be two.
    case silence
    /// A pCPU that was not idle wrote nothing more: the recorder may have lost its end.
    case silentEnd
    /// The recording ends before the events that would have decided it.
    case ended
    /// The bits were set behind a load, and a run in between would have been seen, had the recorder begun by then.
    case begun
    /// Two samples of a vCPU's features disagree, without a reset between them.
    case twoFeatures
    /// The guest's slots changed over a run in which nothing writes them.
    case quietChange
    /// A preempted handler went on behind another thread's save.
    case moved
    /// There were more threads than can be compared with each other.
    case crowd

    /// The guest's slots came to hold the host's keys.
    case hostKeysSaved
    /// A thread's slots hold other keys than those that its guest exits had left it with.
    case otherKeysLeft

    var words: String {
      switch self {
      case .skippedPlace:
        "what looked like it may have another reason, where its thread ran unrecorded"
      case .silence:
        "what looked like it may be two runs: no pCPU wrote an event within it, as if the recorder had been paused"
      case .silentEnd:
        "what looked like it may have another reason: a pCPU that was not idle wrote nothing from before it to the end, so its last events may be missing"
      case .ended:
        "what looked like it is decided by the vCPU's next put and load, and the recording ends before them"
      case .begun:
        "bits were set behind a load that clears them, with no trap since, unless a run in between was not recorded yet where the recording begins"
      case .twoFeatures:
        "a vCPU's features were sampled as two different sets, without a reset between them: KVM allows no such change"
      case .quietChange:
        "a guest's key slots changed over a run with API and APK clear at both ends or from a put to the next load or trap, or over a run that is missing"
      case .moved:
        "a preempted trap handler went on where another thread had saved its keys, and left the slots as they were: whether both have the same keys does not show"
      case .hostKeysSaved:
        "guests' slots came to hold the host's keys: whether guest entry left those in place, or guest exit saved behind its restore, does not show"
      case .otherKeysLeft:
        "a thread's host slots hold other keys than before, which a save or the restore before it may have brought"
      case .crowd: "there are too many threads to compare each with all others"
      }
    }

    var remedy: String {
      switch self {
      case .skippedPlace: "record all pCPUs and tasks (-a)"
      case .silence: "record without a pause, for longer"
      case .silentEnd, .ended, .begun: "record for longer"
      case .twoFeatures: "set the probes of this kernel: ptrauth-trace probes -k vmlinux"
      case .quietChange: "record without losses, with userspace exits"
      case .moved: "record for longer, with every process's host saves"
      case .hostKeysSaved: "read the order of __guest_exit: ptrauth-trace audit vmlinux"
      case .otherKeysLeft: "record for longer, with every process's host saves"
      case .crowd: "record fewer virtual machines at a time"
      }
    }
  }

  private var reasons: [Rule: (first: Reason, silences: UInt64)] = [:]

  /// A recorder is paused once or twice; what is seen over silences again and again is a pattern.
  private static let pauses: UInt64 = 2

  subscript(rule: Rule) -> Reason? { reasons[rule]?.first }

  mutating func note(_ rule: Rule, _ reason: Reason) {
    reasons[rule, default: (reason, 0)].silences += reason == .silence ? 1 : 0
  }

  /// Whether silences explain all that was seen of the rule over them, this time included.
  mutating func isExplained(bySilence rule: Rule) -> Bool {
    note(rule, .silence)
    return reasons[rule]?.silences ?? 0 <= Self.pauses
  }
}
