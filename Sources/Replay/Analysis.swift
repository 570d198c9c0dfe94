public import Ptrauth
public import Trace

/// What a recording shows.
public struct Analysis: Sendable {
  public var verdict: Verdict
  public var findings: [Finding]
  public var vcpus: [VCPU]
  public var cpus: [PCPU]
  public var notObservable: [NotObservable]
  public var firstTime: UInt64
  public var lastTime: UInt64
  public var eventCount: UInt64
  /// Lost events by pCPU, as the recording counts them.
  public var lostEvents: [(cpu: Int32, count: UInt64)]
  /// Parts of what happened that the recorder left out, in words.
  public var missingParts: [String] = []
  /// pCPUs without an event, where tasks ran.
  public var unrecordedCPUs: [Int32] = []
  /// Only some tasks were recorded.
  public var leavesOutTasks = false
  /// Sequences of events that cannot be without missing ones.
  public var sequenceBreaks: UInt64
  /// Probe hits at addresses that are no function the replay knows.
  public var unresolvedProbeHits: UInt64
  public var resolvedFunctions: [KernelFunction]
  /// Every address a probe was hit at, in order.
  public var probeAddresses: [UInt64]
  /// Every symbol that a text named in place of an address, in order.
  public var probeSymbols: [SymbolName] = []
  /// pCPUs whose events end well before the recording does, while a task was running there, and how
  /// long before (ns).
  public var silentTails: [(cpu: Int32, nanoseconds: UInt64)]
  /// How often no pCPU wrote an event for a while, though a task was running, and the longest of them: the recorder
  /// may have been paused.
  public var silenceCount: UInt64 = 0
  public var longestSilence: Silence?
  /// Events are missing, whatever else was found.
  public var isIncomplete: Bool
  /// What the judged rules stand on.
  public var coverage: [Coverage] = []
  /// What samples of executed instructions show, if the recording has any.
  public var passes: InstructionPasses?
  /// What the code of the recorded kernel says, where its vmlinux was at hand.
  public var code = CodeJudgement(reason: "its code was not asked")
  /// The rules that the verdict has to stand on (see ``require(_:)``).
  public var requirement = Requirement()
  /// The least severity that makes a command fail; nil: none does.
  public var failOn: Rule.Severity? = .medium
  /// Findings that do not count; nil: there is no list of them.
  public var known: Known?
  /// What of the recording is shown; nil: all.
  public var selection: Selection?

  public enum Verdict: Sendable, Hashable {
    /// A correctness rule fired.
    case findings
    /// Events were lost or the file is cut.
    case incomplete
    /// Not one correctness rule can be judged from what was recorded, or one that is required cannot.
    case cannotJudge
    /// Every rule that this recording can show was judged, and at least one was.
    case clean
    /// No vCPU could be followed.
    case unusable
    public var word: String {
      switch self {
      case .findings: "findings"
      case .incomplete: "incomplete"
      case .cannotJudge: "cannot judge"
      case .clean: "clean"
      case .unusable: "unusable"
      }
    }
  }

  public struct VCPU: Sendable {
    public var identity: VCPUIdentity
    public var tid: Int32
    public var pid: Int32
    /// What the process that runs it is called, where the recording has its id and name.
    public var vmm: String?
    public var feature: Feature
    public var counters: Counters
    /// What other policies would have had to do.
    public var schedule: Schedule
    /// Its ptrauth traps were answered with an UNDEF, whatever is known of its features.
    public var answersWithUndef: Bool
    /// The thread of all its runs; nil: it has none, or several threads entered it.
    public var runThread: Int32?

    /// "VM 90 (qemu-system-aar)": the VMM's process and its name, as far as they are known.
    public var machine: String {
      pid < 0 ? "VM ?" : "VM \(pid)" + (vmm.map { " (\($0))" } ?? "")
    }
  }

  /// Takes the names of threads and processes.
  public mutating func name(_ names: [Int32: String]) {
    for index in vcpus.indices {
      let pid = vcpus[index].pid
      vcpus[index].vmm = pid >= 0 ? names[pid] : nil
    }
  }

  /// A pCPU at the end of the recording.
  public struct PCPU: Sendable {
    public var cpu: Int32
    public var state: PCPUState
    public var hostSaves: UInt64
  }

  /// A rule that this recording cannot show, and what would.
  public struct NotObservable: Sendable, Hashable {
    public var rule: Rule
    public var reason: String
    public var remedy: String
    /// False: this kernel, or this recording's guests, cannot break it.
    public var applies = true
    /// No event of this kernel shows it; its code does.
    public var isInCode = false

    package init(
      rule: Rule, reason: String, remedy: String, applies: Bool = true, isInCode: Bool = false
    ) {
      self.rule = rule
      self.reason = reason
      self.remedy = remedy
      self.applies = applies
      self.isInCode = isInCode
    }
  }
}

extension Replayer {
  /// Ends the replay. `isCut`: the recording says that its end is missing.
  public mutating func finish(isCut: Bool = false, lostSamples: UInt64 = 0) -> Analysis {
    for tid in threads.keys.sorted() {
      judgeUnended(tid)
      closeRun(tid)
    }
    log.addUnproved(unentered)
    for index in vcpus.indices {
      tellUnsaid(index)
      settleTrap(index, .unknown)
    }
    for found in pendingFindings.takeAll() {
      if mayLackEvents(found) { leaveUndecided(found.rules) } else { commit(found) }
    }
    commitNestedDifferences()
    leaveUntold()
    for index in vcpus.indices { endObservation(index) }
    for index in vcpus.indices { endThrash(index) }
    judgeContextOrder()
    commitContradictions()
    let missing = breaks.count(until: lastTime)
    judgeQuietChanges(
      isWhole: missing == 0 && lostEvents.isEmpty && lostSamples == 0 && !isCut
        && missingParts.isEmpty && !leavesOutTasks && configuration.omissions.cpus == 0)
    // Events are missing that the recorder does not account for (it was paused, say), so they may be missing anywhere:
    // what leans on a sequence is no proof, and alone no verdict.
    let isUnexplained =
      missing > 0 && lostEvents.isEmpty && lostSamples == 0 && !isCut || namelessEntries > 0
    // Samples of threads without an id are not known to be of one vCPU either.
    if isUnexplained { log.lower(except: namelessEntries > 0 ? [] : Self.shownBySamples) }
    let doubted = fetchChecks.doubted
    for rule in doubted { log.lower(only: rule) }
    // What a save wrote then may have been keys that an exit had not restored.
    if log.contains(.missedHostRestore) { log.lower(only: .missedHostSave) }
    if log.hasSkippedSaves { log.leaveOutSaves() }
    let findings = log.shown()
    let scope = configuration.scope
    let hidden = notObservable().filter { scope?.admits($0.rule) ?? true }
    let missingParts = missingParts
    let isIncomplete =
      !missingParts.isEmpty || isCut || configuration.isDamaged || !lostEvents.isEmpty
      || lostSamples > 0 || missing > 0
    // (Not their records, which are large.)
    let followed = vcpus.indices.filter {
      vcpus[$0].counters.runs > 0 || vcpus[$0].counters.loads > 0
    }
    let verdict: Analysis.Verdict
    if findings.contains(where: {
      $0.rule.isCorrectness
        && !((isUnexplained || configuration.isDamaged || doubted.contains($0.rule))
          && $0.level == .suspected)
    }) {
      verdict = .findings
    } else if !followed.contains(where: { vcpus[$0].counters.runs > 0 }) {
      verdict = .unusable
    } else if isIncomplete {
      verdict = .incomplete
    } else {
      verdict = .clean
    }
    var analysis = Analysis(
      verdict: verdict, findings: findings,
      vcpus: followed.filter { scope?.admits(vcpus[$0].identity) ?? true }.sorted {
        order(of: vcpus[$0]) < order(of: vcpus[$1])
      }.map { summary(of: vcpus[$0]) },
      cpus: cpus.all.filter { scope?.admits(cpu: $0.key) ?? true }.sorted { $0.key < $1.key }.map {
        Analysis.PCPU(cpu: $0.key, state: $0.value.state, hostSaves: $0.value.hostSaves)
      },
      notObservable: hidden, firstTime: firstTime ?? 0, lastTime: lastTime,
      eventCount: eventCount,
      lostEvents: lostEvents.sorted { $0.key < $1.key }.map { ($0.key, $0.value) },
      missingParts: missingParts, unrecordedCPUs: unrecordedCPUs,
      leavesOutTasks: leavesOutTasks, sequenceBreaks: missing,
      unresolvedProbeHits: unresolvedProbes.values.reduce(0, +),
      resolvedFunctions: KernelFunction.allCases.filter(probesHit.contains),
      probeAddresses: functions.addresses, silentTails: silentTails(), silenceCount: silences.count,
      longestSilence: silences.longest, isIncomplete: isIncomplete)
    analysis.probeSymbols = functions.symbols
    analysis.selection = scope.map {
      Selection($0, of: log.sorted(), cpuCount: cpus.all.count, vcpuCount: followed.count)
    }
    analysis.coverage = coverage(analysis.judged)
    if verdict == .clean, analysis.judged.isEmpty { analysis.verdict = .cannotJudge }
    return analysis
  }

  private func order(of vcpu: VCPURecord) -> (Int32, Int32, Int32) {
    (vcpu.pid, vcpu.identity.number ?? -1, vcpu.tid)
  }

  private func summary(of vcpu: VCPURecord) -> Analysis.VCPU {
    var counters = vcpu.counters
    counters.bounds.lower.formUnion(lowerBounds(of: counters))
    if log.hasSkippedSaves { counters.bounds.upper.insert(.hostSaves) }
    var schedule = vcpu.schedule
    schedule.loadsAreLowerBounds = counters.bounds.lower.contains(.loads)
    return Analysis.VCPU(
      identity: vcpu.identity, tid: vcpu.tid, pid: vcpu.pid, feature: vcpu.state.feature,
      counters: counters, schedule: schedule, answersWithUndef: lacksFeature(vcpu),
      runThread: vcpu.ranInSeveralThreads ? nil : vcpu.runThread)
  }

  /// A pCPU fell silent within the window, and not because it went idle: the recorder may
  /// have lost its end without a word.
  func mayLackEvents(_ found: PendingFinding) -> Bool {
    mayLackEvents(from: found.from, until: found.enter.time, end: found.exit)
  }

  /// - Parameter cpu: where the window begins, nil: on any; `until`: where it should still have written events.
  func mayLackEvents(from cpu: Int32?, until time: UInt64, end: UInt64) -> Bool {
    if configuration.tailsMayBeMissing {
      return cpus.values.contains { $0.lastTime < end && !$0.isIdle }
    }
    guard let cpu else { return cpus.values.contains { $0.lastTime < time && !$0.isIdle } }
    guard let cpu = cpus[cpu] else { return true }
    return cpu.lastTime < time && !cpu.isIdle
  }

  /// A pCPU with a task on it writes events every few milliseconds; 50 ms of silence at the end are
  /// worth a word (perf record -z of perf 6.1 loses such tails).
  private func silentTails() -> [(cpu: Int32, nanoseconds: UInt64)] {
    guard capabilities.hasSchedSwitch else { return [] }
    return cpus.all.filter { !$0.value.isIdle && $0.value.lastTime < lastTime }
      .map { ($0.key, lastTime - $0.value.lastTime) }.filter { $0.1 > 50_000_000 }
      .sorted { $0.0 < $1.0 }
  }
}
