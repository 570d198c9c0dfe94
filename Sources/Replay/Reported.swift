public import Ptrauth

// Values of the replay as a report tells them: what no report shows is empty.

extension Analysis {
  public init(reported verdict: Verdict, firstTime: UInt64, lastTime: UInt64, eventCount: UInt64) {
    self.init(
      verdict: verdict, findings: [], vcpus: [], cpus: [], notObservable: [], firstTime: firstTime,
      lastTime: lastTime, eventCount: eventCount, lostEvents: [], sequenceBreaks: 0,
      unresolvedProbeHits: 0, resolvedFunctions: [], probeAddresses: [], silentTails: [],
      isIncomplete: false)
  }
}

extension Analysis.Verdict: CaseIterable {
  public static let allCases: [Self] = [.findings, .incomplete, .cannotJudge, .clean, .unusable]
}

extension VCPUIdentity.Kind: CaseIterable {
  public static let allCases: [Self] = [.probe, .setupDebug, .guestList, .thread]
}

extension Analysis.VCPU {
  public init(
    reported identity: VCPUIdentity, tid: Int32, pid: Int32, feature: Feature, counters: Counters
  ) {
    self.init(
      identity: identity, tid: tid, pid: pid, feature: feature, counters: counters,
      schedule: Schedule(hysteresis: 0), answersWithUndef: false, runThread: nil)
  }
}

extension Analysis.PCPU {
  public init(reported cpu: Int32, state: PCPUState, hostSaves: UInt64) {
    self.init(cpu: cpu, state: state, hostSaves: hostSaves)
  }
}

extension Analysis.NotObservable {
  public init(reported rule: Rule, reason: String, remedy: String, applies: Bool) {
    self.init(rule: rule, reason: reason, remedy: remedy, applies: applies)
  }
}

extension Finding {
  public init(
    reported rule: Rule, _ level: Level, count: UInt64, first: Moment?, last: Moment?,
    statement: String
  ) {
    self.init(
      rule: rule, level: level, count: count, first: first, last: last, evidence: [],
      statement: statement, vcpus: [], cost: nil)
  }
}

extension Finding.Cause {
  public init(reported rule: Rule, count: UInt64) { self.init(rule: rule, count: count) }
}

extension InstructionPasses {
  public init(
    reported event: String, _ certainty: Certainty, reasons: [String],
    cpus: [(cpu: Int, passes: PassCounts)], total: PassCounts
  ) {
    self.init(
      event: event, certainty: certainty, reasons: reasons, cpus: cpus, byThread: [:], total: total
    )
  }
}

extension Run {
  public init(
    reported vcpu: VCPUIdentity, tid: Int32, cpu: Int32, enter: UInt64, exit: UInt64?, ret: Int32?,
    ec: UInt32?, atEntry: KnownBits, atExit: KnownBits
  ) {
    self.init(
      vcpu: vcpu, tid: tid, pid: -1, cpu: cpu, enter: enter, exit: exit, ret: ret, ec: ec,
      atEntry: atEntry, atExit: atExit)
  }
}
