package import Observation
public import Ptrauth
public import Trace

/// Drives the model with the events of a recording, in time order, and compares what was observed
/// with what the model implies.
///
/// Memory grows with vCPUs, threads and pCPUs, not with the length of the recording.
public struct Replayer {
  /// What the replay is told about the recorded kernel and recording.
  public struct Configuration {
    /// Nil: not known; only what every generation shares is judged.
    public var generation: Generation?
    /// What the generation rests on.
    public var schemeBasis = SchemeBasis.code
    /// The generation is only guessed from a release: no claim may rest on it alone.
    var generationIsWeak: Bool { schemeBasis == .release }
    /// CONFIG_ARM64_PTR_AUTH_KERNEL; nil if not known.
    public var kernelUsesPointerAuth: Bool?
    /// The shadow is known not to say what HCR_EL2 in the CPU holds (an earlier replay of the same
    /// recording found `trap-while-enabled`): a sampled 1 is then no knowledge.
    public var shadowIsNotLive = false
    /// The events that were recorded.
    public var recordedEvents: [RecordedEvent] = []
    /// Some of the recording's bytes were changed, and others may be: nothing is proved by it.
    public var isDamaged = false
    /// What of them was left out.
    public var omissions = Omissions()
    /// Run-time address of a probe -> the function it is in. Nil without a kernel image: probes
    /// then mean nothing.
    public var resolve: ((UInt64) -> KernelFunction?)?
    /// vCPU number by host thread, as the recorder listed them for the guests it knew.
    public var vcpuNumbers: [Int32: Int32] = [:]
    /// `perf record -z` of perf 6.1 can lose the end of a pCPU's buffer without a record of it.
    public var tailsMayBeMissing = false
    /// What of it is shown; nil: all.
    public var scope: Scope?
    /// How many load intervals a policy with hysteresis remembers.
    public var hysteresis = Hysteresis.defaultDepth

    public init() {}
  }

  let configuration: Configuration
  private(set) var capabilities: Capabilities
  /// Events that a stream showed, which cannot say what it will have.
  private var learned: [RecordedEvent] = []
  /// The generation's code, the ten registers as one.
  let code: Code?
  /// The model, with every fault that it knows; nil: the generation is not known, or only guessed, or what was recorded is
  /// no sequence.
  package var observer: Observer?
  var contradictions: [Contradiction] = []
  var nestedDifferences: [NestedDifference] = []
  var quietChange: QuietChange?
  var refutations = Refutations()
  var vcpus = VCPUTable()
  var threads = RecordTable<ThreadRecord>()
  var cpus = RecordTable<CPURecord>()
  var log: FindingLog
  /// Of runs that may have been over before they entered the guest.
  var unentered: FindingLog
  var exercised = Exercised()
  /// See ``Configuration/thinned``.
  let isThinned: Bool
  /// See ``Generation/ownInKernel(kernelUsesPointerAuth:)``.
  let ownRegisters: RegisterSet
  /// See ``Generation/writtenAroundUser(kernelUsesPointerAuth:)``.
  let returnedRegisters: RegisterSet
  var pendingFindings = PendingFindings()
  /// Of a stream: entries with a stale enable that was announced, and does not stand.
  var withdrawn: [Moment] = []
  /// sched_switch events whose task was not the one that the event before switched to.
  var tornSwitches: UInt64 = 0
  var walls = Walls()
  /// sched_migrate_task away from a pCPU, by pCPU.
  var departures: [Int32: UInt64] = [:]
  /// Losses behind the beginning of the recording.
  var lossesSeen: UInt64 = 0
  /// The pCPU whose events lag behind all others'.
  private var slowest: CPURecord?
  private var laggards = Laggards()
  var hostContexts = HostContextMap()
  var vmProcesses = VMProcesses()
  /// Threads that are gone, whose keys may still lie somewhere: the last of them.
  var departed: [ThreadRecord] = []
  /// Functions whose probes were hit, and whose returns were.
  var probesHit: FunctionSet = []
  var returnsHit: FunctionSet = []
  /// Addresses of probe hits that are no known function, with their count.
  var unresolvedProbes: [UInt64: UInt64] = [:]
  /// Sequences that cannot happen without missing events.
  var breaks = SequenceBreaks()
  /// kvm_entry of no thread that has an id.
  var namelessEntries: UInt64 = 0
  var undecided = Undecided()
  var lookups = Lookups()
  var silences = Silences()
  var fetchChecks = FetchChecks()
  var firstTime: UInt64?
  /// See ``CPURecord/firstWholeRun``; on any pCPU.
  var firstWholeRun: UInt64?
  var lastTime: UInt64 = 0
  var eventCount: UInt64 = 0
  var lostEvents: [Int32: UInt64] = [:]
  /// vCPUs by their struct kvm_vcpu *.
  var pointerIndex = AddressTable<Int>()
  var functions: ProbedFunctions
  /// A nested guest was seen, or may have been.
  var sawNested = false
  /// Loads are known from the function tracer, no probe fetches their arguments.
  private(set) var loadsAreTraced = false
  let emit: ((TimelineEntry) -> Void)?

  /// - Parameter timeline: called for every line of the timeline, in the order things become known.
  public init(_ configuration: Configuration, timeline: ((TimelineEntry) -> Void)? = nil) {
    self.configuration = configuration
    code = configuration.generation?.code.seen(by: .apiaLo)
    capabilities = Capabilities(
      configuration.recordedEvents, probesHaveNames: configuration.resolve != nil)
    functions = ProbedFunctions(configuration.resolve)
    ownRegisters =
      configuration.generation?.ownInKernel(
        kernelUsesPointerAuth: configuration.kernelUsesPointerAuth) ?? []
    returnedRegisters =
      configuration.generation?.writtenAroundUser(
        kernelUsesPointerAuth: configuration.kernelUsesPointerAuth) ?? .all
    let isThinned = !configuration.thinned.isEmpty
    self.isThinned = isThinned
    observer = Self.observer(configuration, samplesShadow: capabilities.samplesShadow)
    let ceiling = configuration.isDamaged ? .suspected : configuration.schemeBasis.ceiling
    let scope = configuration.scope
    log = FindingLog(ceiling: ceiling, scope: scope)
    unentered = FindingLog(ceiling: ceiling, scope: scope)
    if isThinned {
      log.admits = Self.shownBySamples
      unentered.admits = Self.shownBySamples
    }
    emit = timeline.map { timeline in
      { entry in
        if case .finding(let rule, _, _, _) = entry, isThinned,
          !Self.shownBySamples.contains(rule)
        {
          return
        }
        if let scope, !scope.admits(entry) { return }
        timeline(entry.capped(at: ceiling))
      }
    }
  }

  private static func observer(_ configuration: Configuration, samplesShadow: Bool) -> Observer? {
    guard let generation = configuration.generation, configuration.thinned.isEmpty else {
      return nil
    }
    return Observer.fresh(
      of: configuration.generationIsWeak ? nil : generation, hasSErrors: samplesShadow)
  }

  /// A stream has an event that it had not shown before.
  package mutating func learn(_ event: RecordedEvent) {
    learned.append(event)
    let sampledShadow = capabilities.samplesShadow
    defer {
      if capabilities.samplesShadow, !sampledShadow {
        for index in vcpus.indices { tellUnsaid(index) }
        observer = Self.observer(configuration, samplesShadow: true)
        for index in vcpus.indices { forgetModel(index) }
      }
    }
    capabilities = Capabilities(
      configuration.recordedEvents + learned, probesHaveNames: configuration.resolve != nil)
    if loadsAreTraced { capabilities.hasLoadProbe = true }
  }

  /// The function tracer shows kvm_arch_vcpu_load.
  mutating func takeTracedLoads() {
    loadsAreTraced = true
    capabilities.hasLoadProbe = true
  }

  /// A probe that shows it was not known for one by what it fetches. A load of the vCPU that was implied, and of which
  /// nothing has come since, is this one.
  mutating func takeProbedLoads(_ index: Int) {
    capabilities.hasLoadProbe = true
    if vcpus[index].load?.isImplied == true { vcpus[index].counters.loads -= 1 }
  }

  var generation: Generation? { configuration.generation }

  /// Takes the next event; events come in time order.
  public mutating func consume(_ event: borrowing Event) {
    let time = event.time
    let at = Moment(time: time, cpu: event.cpu, tid: event.tid)
    var thread = threads.select(at.tid)
    if event.pid >= 0 {
      if at.tid > 0, let known = thread, known.pid >= 0, known.pid != event.pid {
        depart(at.tid)
        thread = nil
      }
      vmProcesses.areRecorded = true
    }
    let pid = event.pid >= 0 ? event.pid : thread?.pid ?? -1
    if case .lost(let count) = event.occurrence {
      // Before anything that leans on this pCPU's silence can stand. A pCPU that was never seen may have lost
      // events since the beginning.
      if at.cpu >= 0, cpus[at.cpu] == nil {
        add(CPURecord(firstTime: firstTime ?? at.time), at.cpu)
      }
      pass(at)
      return lost(at, count: count)
    }
    let cpu = note(at)
    if case .fork(let child, let childPid) = event.occurrence { return fork(child, childPid) }
    if at.time >= lastTime &+ Silences.tick {
      noteSilence(before: at)
      // This event reaches them behind it.
      _ = (cpus[at.cpu], threads[at.tid])
    }
    cpu?.hasEvents = true
    eventCount += 1
    if firstTime == nil { firstTime = time }
    lastTime = max(lastTime, time)
    switch event.occurrence {
    case .probe: probe(event, at, pid, thread)
    case .entry(let pc): entry(at, pid, thread ?? self.thread(at.tid, pid), pc: pc)
    case .exit(let ret, let ec, let pc): exit(at, pid, thread, ret: ret, ec: ec, pc: pc)
    case .handleSysReg(let esr): if let thread { classifyTrap(thread, at, esr: esr) }
    case .sysAccess(let register, let isWrite, _): sysAccess(at, register, isWrite: isWrite)
    case .userspaceExit: userspaceExit(at)
    case .setupDebug(let pointer):
      _ = bind(
        at, pid, thread ?? self.thread(at.tid, pid), pointer: pointer, number: nil, .setupDebug)
    case .vcpuNumber(let number): nameNumber(at, number)
    case .nestedEret(let vcpu, let spsr, let hcr): nestedEret(vcpu, at, spsr: spsr, hcr: hcr)
    case .nestedException(let vcpu): nestedException(vcpu)
    case .schedSwitch(let prev, let state, let next):
      schedSwitch(at, prev: prev, next: next)
      if state & Self.deadStates != 0 { depart(prev) }
    case .migrateTask(let tid, let from, let to): migrate(tid, from, to)
    case .fork, .lost: break
    }
  }

  /// Remembers how far each pCPU's events have come.
  @discardableResult
  private mutating func pass(_ at: Moment) -> CPURecord? {
    guard at.cpu >= 0 else { return nil }
    let cpu = cpu(at)
    if at.time < cpu.lastTime { laggards.add(at.cpu, at: at.time) }
    if cpu.stay.tid != at.tid { cpu.stay = CPURecord.Stay(tid: at.tid, since: at.time) }
    cpu.beforeLast = cpu.lastTime
    cpu.lastTime = at.time
    return cpu
  }

  /// The same; lets stale enables stand.
  private mutating func note(_ at: Moment) -> CPURecord? {
    guard let cpu = pass(at) else { return nil }
    // Only when the last of all pCPUs has moved on can more of them stand.
    guard !pendingFindings.isEmpty, slowest == nil || slowest === cpu else { return cpu }
    commitPassed()
    return cpu
  }

  @inline(never)
  private mutating func commitPassed() {
    slowest = laggards.first(of: cpus)
    for found in pendingFindings.take(upTo: slowest?.lastTime ?? 0) { commit(found) }
  }

  /// The pCPU of an event.
  mutating func cpu(_ at: Moment) -> CPURecord {
    if let known = cpus.select(at.cpu) { return known }
    let record = CPURecord(firstTime: at.time)
    add(record, at.cpu)
    return record
  }

  private mutating func add(_ record: CPURecord, _ cpu: Int32) {
    cpus[cpu] = record
    laggards.add(cpu, at: record.lastTime)
  }
}
