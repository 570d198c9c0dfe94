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
