public import Ptrauth

/// What of a recording a report is about. The replay sees everything, so that the state before it and beside it is
/// right; findings, costs, vCPUs and the timeline are chosen from.
public struct Scope: Sendable {
  /// The options that ask for it, as they were given.
  public var words: String
  /// As an earlier replay of the same recording knew them at its end. nil, here and below: all.
  public var vcpus: [VCPUIdentity]?
  public var cpus: Set<Int32>?
  /// Nanoseconds of the recording's clock.
  public var time: ClosedRange<UInt64>?
  public var rules: [Rule]?

  public init(words: String) { self.words = words }

  package func admits(_ vcpu: VCPUIdentity?) -> Bool {
    guard let vcpus else { return true }
    // What is about a pCPU alone concerns every vCPU that runs there.
    return vcpu.map { vcpu in vcpus.contains { $0.mayBe(vcpu) } } ?? true
  }

  func admits(cpu: Int32) -> Bool { cpus?.contains(cpu) ?? true }

  private func admits(_ at: Moment) -> Bool {
    admits(cpu: at.cpu) && (time?.contains(at.time) ?? true)
  }

  func admits(_ rule: Rule) -> Bool { rules?.contains(rule) ?? true }

  func admits(_ rule: Rule, _ vcpu: VCPUIdentity?, _ at: Moment) -> Bool {
    admits(rule) && admits(vcpu) && admits(at)
  }

  func admits(_ entry: TimelineEntry) -> Bool {
    switch entry {
    case .run(let run):
      let span = run.enter...max(run.enter, run.exit ?? run.enter)
      return admits(run.vcpu) && admits(cpu: run.cpu) && (time?.overlaps(span) ?? true)
    case .load(let vcpu, let at, _), .put(let vcpu, let at, _), .trap(let vcpu, let at, _, _):
      return admits(vcpu) && admits(at)
    // One that names no pCPU may have been on any.
    case .loss(let at, let since, _):
      return (at.cpu < 0 || admits(cpu: at.cpu))
        && (time?.overlaps(min(since, at.time)...at.time) ?? true)
    case .finding(let rule, _, let vcpu, let at): return admits(rule, vcpu, at)
    }
  }
}

/// That an analysis shows a part, and of what.
public struct Selection: Sendable {
  /// See ``Scope/words``.
  public var words: String
  /// The rules that were chosen; nil: all.
  public var rules: [Rule]?
  /// A rule at a level, each, in the whole recording; and their occurrences.
  public var findings: Int
  public var occurrences: UInt64
  /// Rules that were found broken in the whole recording.
  public var foundRules: [Rule] = []
  /// pCPUs of the whole recording.
  public var cpuCount: Int
  /// vCPUs of the whole recording.
  public var vcpuCount: Int
  /// What is shown is of some vCPUs, pCPUs or times; which rules were judged is not.
  public var isOfPart: Bool
  /// Some of what the shown vCPUs' counters counted lies outside.
  public var countersAreOfWhole: Bool

  public init(
    words: String, rules: [Rule]?, findings: Int, occurrences: UInt64, cpuCount: Int,
    vcpuCount: Int,
    isOfPart: Bool, countersAreOfWhole: Bool
  ) {
    self.words = words
    self.rules = rules
    self.findings = findings
    self.occurrences = occurrences
    self.cpuCount = cpuCount
    self.vcpuCount = vcpuCount
    self.isOfPart = isOfPart
    self.countersAreOfWhole = countersAreOfWhole
  }

  init(_ scope: Scope, of all: [Finding], cpuCount: Int, vcpuCount: Int) {
    self.init(
      words: scope.words, rules: scope.rules, findings: all.count,
      occurrences: all.reduce(0) { $0 &+ $1.count }, cpuCount: cpuCount, vcpuCount: vcpuCount,
      isOfPart: scope.vcpus != nil || scope.cpus != nil || scope.time != nil,
      countersAreOfWhole: scope.cpus != nil || scope.time != nil)
    foundRules = all.map(\.rule)
  }
}

extension Analysis {
  /// In the whole recording, whatever of it is shown.
  public func wasFound(_ rule: Rule) -> Bool {
    (selection?.foundRules ?? findings.map(\.rule)).contains(rule)
  }

  /// The rules that the verdict speaks of: correctness rules; of chosen costs alone, these.
  var rulesOfVerdict: [Rule] {
    let correctness = Self.judgedRules.filter(\.isCorrectness)
    guard let chosen = selection?.rules else { return correctness }
    let both = correctness.filter(chosen.contains)
    return both.isEmpty ? Self.judgedRules.filter(chosen.contains) : both
  }

  /// The verdict speaks of costs alone, as no other rule was chosen.
  public var isOfCosts: Bool { !rulesOfVerdict.contains(where: \.isCorrectness) }

  /// pCPUs of the recording, whatever of it is shown.
  public var cpuCount: Int { selection?.cpuCount ?? cpus.count }
}

extension VCPUIdentity {
  /// Before its pointer was seen a vCPU is known by its thread.
  func mayBe(_ other: VCPUIdentity) -> Bool {
    if let pointer, let its = other.pointer { return pointer == its }
    return thread != nil && thread == other.thread
  }
}
