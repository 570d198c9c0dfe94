import Observation
import Ptrauth
import Trace

/// What the replay keeps of one vCPU.
struct VCPURecord {
  /// An event reached it since the last wall.
  var isReached = false
  var identity: VCPUIdentity
  /// Last thread and process that ran it.
  var tid: Int32
  var pid: Int32
  /// The thread that entered it, and whether another did too. Others load it also, to read its registers.
  var runThread: Int32?
  var ranInSeveralThreads = false
  /// The model's expectation: a sample that contradicts it is a finding or a correction.
  var state: VCPUState
  var counters = Counters()
  /// Situations in which a fault would have shown in it.
  var exercised = Exercised()
  /// Its reset was seen, and no run with ptrauth enabled since.
  var isUnused = false
  /// The pCPU on which its host context was last sampled.
  var contextCPU: Int32?
  /// Its features as they were sampled last, since its reset; and that two samples disagreed, which one of a vCPU
  /// that runs cannot.
  var features: UInt64?
  var hasTwoFeatures = false
  /// KVM_ARM_VCPU_HAS_EL2 (feature bit 7): a nested guest's bits are L1's, not the patch's.
  var isNested = false

  /// The last load since the vCPU was last about to enter.
  var load: LoadBehind?
  /// The last run that was complete, and not a ptrauth trap: where an observation window begins.
  var lastExit: Moment?
  /// The function tracer showed that a trap set the bits, in the load interval now in force.
  var isEnabledAtHyp = false
  /// kvm_arch_vcpu_put came before the load now in force.
  var isPut = false
  /// No probe showed the last put.
  var lastPutIsImplied = false

  var interval = LoadInterval()
  /// All load intervals, for what other policies would cost.
  var schedule: Schedule
  /// The last interval that ended is in `schedule`.
  var lastIsInSchedule = false
  var waste = WasteWatch()
  var arrival = Arrival()
  /// L1's API and APK, from its return to the nested guest until that is entered.
  var nestedBits: NestedReturn?
  var writes: [GuestKeyWrite] = []
  /// Those of its slots that a guest exit was seen to save.
  var savedRegisters: RegisterSet = []
  /// The guest's slots at the last sample.
  var guestKeys: KeySlots?
  /// How many runs it had had before that; nil: its thread may have left KVM_RUN since.
  var guestKeysRun: UInt64?
  /// Its slots at its last put, until it is loaded or its thread leaves KVM_RUN.
  var keysAtPut: KeySlots?
  /// Those after its last enabled run.
  var keysAfterRun: KeysAfterRun?
  var handlings = TrapHandlings()
  /// A ptrauth trap whose handler was not seen yet.
  var unansweredTrap: Moment?
  var untoldTraps: UntoldTraps?
  var openTrap: OpenTrap?
  var unsaid = UnsaidRuns()
  var model: ModelWatch

  init(identity: VCPUIdentity, tid: Int32, pid: Int32, hysteresis: Int, belief: Belief?) {
    model = ModelWatch(belief)
    self.identity = identity
    schedule = Schedule(hysteresis: hysteresis)
    self.tid = tid
    self.pid = pid
    state = VCPUState()
    // Nothing was seen yet: a trap handler may be under way.
    state.enableInFlight = true
  }

  /// After lost events: what was expected is no longer.
  mutating func wall(_ time: UInt64) {
    handlings.begin(time, wasSeen: false)
    state.bits = .unknown
    state.enableInFlight = true
    load = nil
    lastExit = nil
    isPut = false
    lastPutIsImplied = false
    isEnabledAtHyp = false
    state.loadedOn = nil
    state.previouslyOn = nil
    if interval.begin != nil { schedule.leftOut += 1 }
    interval = LoadInterval()
    lastIsInSchedule = false
    writes = []
    isUnused = false
    guestKeys = nil
    keysAtPut = nil
    keysAfterRun = nil
    unansweredTrap = nil
    untoldTraps = nil
    nestedBits = nil
    arrival.wall()
  }
}

/// What one load interval has seen so far, for the cost rules.
struct LoadInterval {
  var begin: Moment?
  /// No event shows its load.
  var isImplied = false
  /// Runs that certainly entered the guest with keys switched.
  var switchedPasses: UInt64 = 0
  var firstSwitched: Moment?
  var lastSwitched: Moment?
  var runs: UInt64 = 0
  var trapped = false
  /// A trap was answered with an UNDEF.
  var isRefused = false
  /// A trap handler may have been under way over the load.
  var isTainted = false
  /// A trapped system register access of which it was not known in time which register it was.
  var mayHaveTrapped = false
  /// Host saves that wrote what the slots held; the last, and the save before it.
  var repeatedSaves: UInt64 = 0
  var repeatedSave: (before: Moment?, at: Moment)?
  /// What a policy would have had to do in it.
  var seen = LoadObservation()
  /// A host save of this interval has not been restored from yet.
  var saveUnused: Moment?
}

/// Both sides' slots after a run with ptrauth enabled.
struct KeysAfterRun {
  var guest: KeySlots
  /// Bit i set: the host's slot of register i held something else.
  var differ: UInt16
  /// The host's slots held the thread's own keys.
  var hostWasOwn: Bool
  /// Both hold the host's key; both hold the guest's.
  var toGuest: UInt16
  var toHost: UInt16
  /// Both hold what was the guest's, if the guest had not got the host's before.
  var perhapsToHost: UInt16
  var process: Int32

  /// If the host had gone on with the guest's key of this register, its slot would hold that now; it does not.
  func wouldShow(_ register: KeyRegister, in host: KeySlots) -> Bool {
    let i = register.rawValue
    // The reset's own value is some guest's.
    return differ >> UInt16(i) & 1 == 1 && !guest.isZero(i) && !guest.isReset(i)
      && !guest.isSame(i, as: host) && !host.isReset(i)
  }

  /// The key that the guest had in this register was the guest's, not one that it had got from the host.
  func provesGuests(_ bit: UInt16, _ own: RegisterSet) -> Bool {
    hostWasOwn && differ & own.rawValue & bit != 0 || toHost & bit != 0
  }
}
