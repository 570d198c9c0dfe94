public import Fleet
import Ptrauth
import Regression
import Replay

extension Tally {
  /// One recording. No key, no host's name; of paths the base name alone.
  public init(_ document: Document) {
    self.init()
    let (facts, analysis) = (document.recording, document.analysis)
    let name = FileNames.base(facts.path)
    begin(name, analysis.verdict)
    eventsMissing = analysis.isIncomplete ? 1 : 0
    bytes = facts.byteCount
    events = analysis.eventCount
    // What is counted without a time holds what is counted with one.
    lost = max(
      facts.lostSamples, analysis.lostEvents.reduce(0) { Counters.sum($0, $1.count) })
    duration = analysis.lastTime > analysis.firstTime ? analysis.lastTime - analysis.firstTime : 0
    formats = NameCounts(facts.format)
    schemes = NameCounts(document.kernel.generation?.name ?? "not known")
    let isFit =
      [.clean, .findings].contains(analysis.verdict) && !analysis.isIncomplete
      && analysis.requiredNotJudged.isEmpty
    if !isFit {
      // A refusal names the files that it is about.
      let files = [facts.path, document.kernel.path].compactMap(\.self)
      isOpen(
        name, because: FileNames.only(in: document.obstacle ?? Self.trouble(analysis), of: files))
    }
    for rule in Analysis.judgedRules { add(rule, document, name) }
    for rule in analysis.findings.map(\.rule) where rules[rule] == nil { add(rule, document, name) }
    count(analysis)
  }

  /// A recording that could not be read.
  ///
  /// - Parameter files: others that the sentence may name.
  public init(unreadable path: String, because sentence: String, files: [String] = []) {
    self.init()
    let name = FileNames.base(path)
    begin(name, .unusable)
    isOpen(name, because: FileNames.only(in: sentence, of: [path] + files))
  }

  private mutating func begin(_ name: String, _ verdict: Analysis.Verdict) {
    recordings = 1
    verdicts = [verdict: 1]
    names = NameCounts(name)
  }

  private mutating func isOpen(_ name: String, because reason: String) {
    open = 1
    // Without the recording's name, which is in openNames: a reason is counted.
    troubles = NameCounts(
      reason.hasPrefix("\(name): ") ? String(reason.dropFirst(name.count + 2)) : reason)
    openNames = NameCounts(name)
  }

  /// Without the recording's own numbers.
  private static func trouble(_ analysis: Analysis) -> String {
    if analysis.verdict == .unusable { return "no vCPU could be followed" }
    if analysis.isIncomplete { return "events are missing" }
    let required = analysis.requiredNotJudged.map(\.rule.id)
    return required.isEmpty
      ? "no correctness rule can be judged"
      : "required and not judged: " + required.joined(separator: ", ")
  }

  private mutating func add(_ rule: Rule, _ document: Document, _ name: String) {
    let analysis = document.analysis
    let findings = analysis.findings.filter { $0.rule == rule }
    let hidden = analysis.notObservable.first { $0.rule == rule }
    var tally = RuleTally()
    tally.outcomes = [Self.outcome(rule, findings, hidden, analysis): 1]
    for finding in findings {
      tally.occurrences[finding.level] = Counters.sum(
        tally.occurrences[finding.level] ?? 0, finding.count)
      tally.reads = Counters.sum(tally.reads, finding.cost?.reads ?? 0)
      tally.writes = Counters.sum(tally.writes, finding.cost?.writes ?? 0)
      tally.trips = Counters.sum(tally.trips, finding.cost?.trips ?? 0)
    }
    if findings.isEmpty {
      tally.reasons = NameCounts(hidden.flatMap { $0.applies ? $0.reason : nil })
    } else {
      tally.examples = NameCounts(name)
      tally.places = NameCounts(document.kernel.sources[rule.id]?.description)
    }
    rules[rule] = tally
  }

  private static func outcome(
    _ rule: Rule, _ findings: [Finding], _ hidden: Analysis.NotObservable?, _ analysis: Analysis
  ) -> RuleTally.Outcome {
    if !findings.isEmpty {
      if findings.allSatisfy(analysis.isKnown) { return .known }
      return rule.isCorrectness && analysis.verdict != .findings ? .doubtful : .broken
    }
    if let hidden { return hidden.applies ? .notJudged : .impossible }
    if analysis.verdict == .unusable { return .notJudged }
    return analysis.isIncomplete ? .keptOutsideGaps : .kept
  }

  private mutating func count(_ analysis: Analysis) {
    let sample = Sample(name: "", kernel: "", analysis)
    counters = sample.counters
    // Whether they are exact is counted.
    counters.bounds = CounterBounds(lower: .keySwitches)
    vcpus = UInt64(analysis.vcpus.count)
    leastSwitches = sample.isUsable && sample.counters.bounds.lower.contains(.keySwitches) ? 1 : 0
    leastLoads = sample.counters.bounds.lower.contains(.loads) ? 1 : 0
    redundantAccesses = sample.redundantAccesses
    var machines: [Int32: Counters] = [:]
    var each: [Counters] = []
    for vcpu in analysis.vcpus {
      let hasFeature = vcpu.feature != .none && vcpu.feature != .partial
      var own = Counters()
      own.add(vcpu.counters, hasFeature: hasFeature)
      each.append(own)
      machines[vcpu.pid, default: Counters()].add(vcpu.counters, hasFeature: hasFeature)
    }
    vms = UInt64(machines.count)
    for metric in Metric.all where metric.isShown(by: sample) {
      var rates = Rates()
      if let value = metric.value(sample) { rates.recordings.add(value) }
      // What was redundant is known of the recording, not of its vCPUs.
      if metric != .redundantShare {
        for value in machines.values.compactMap({ metric.value(sample, $0) }) {
          rates.vms.add(value)
        }
        for value in each.compactMap({ metric.value(sample, $0) }) { rates.vcpus.add(value) }
      }
      if !rates.isEmpty { self.rates[metric] = rates }
    }
  }
}

extension Metric {
  /// Its value in a part of a recording.
  fileprivate func value(_ sample: Sample, _ counters: Counters) -> Double? {
    var part = sample
    part.counters = counters
    part.guestTime = counters.guestTime
    return value(part)
  }
}

extension Group {
  /// The kernel of a recording, as it says or its vmlinux does.
  public init(_ document: Document, labels: [(key: String, value: String?)]) {
    let kernel = document.kernel
    self.init(
      Kernel(
        release: document.recording.osRelease, buildID: kernel.recordedBuildID ?? kernel.buildID),
      labels: labels)
  }
}
