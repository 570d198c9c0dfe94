public import Ptrauth
public import Replay

/// What one recording says for a comparison: its verdict, its findings by rule, and its counters, summed
/// over vCPUs.
public struct Sample: Sendable {
  /// The recording or the report it came from.
  public var name: String
  public var verdict: Analysis.Verdict
  /// Events are missing, whatever else was found.
  public var isIncomplete: Bool
  /// What is compared: "6.1.0-56-arm64, 5.16 (G5)".
  public var kernel: String
  public var findings: [Found]
  /// Rules that the recording cannot show, though its kernel may break them.
  public var hidden: Set<String>
  /// Rules that its kernel's code shows, and no event.
  public var inCode: Set<String> = []
  /// Rules that its kernel and guests cannot break.
  public var impossible: Set<String>
  public var counters: Counters
  /// Time between kvm_entry and kvm_exit, in ns; nil where a report does not have it.
  public var guestTime: UInt64?
  public var redundantAccesses: UInt64
  /// Where it stands for many recordings.
  public var merged: MergedRecordings?

  public struct Found: Sendable, Hashable {
    public var rule: String
    public var severity: Rule.Severity
    public var level: String
    public var isCorrectness: Bool
    public var count: UInt64
    public var statement: String

    public init(
      rule: String, severity: Rule.Severity, level: String, isCorrectness: Bool, count: UInt64,
      statement: String
    ) {
      self.rule = rule
      self.severity = severity
      self.level = level
      self.isCorrectness = isCorrectness
      self.count = count
      self.statement = statement
    }
  }

  /// It can be compared at all.
  public var isUsable: Bool { verdict != .unusable }

  /// It shows which vCPUs have the feature: its traps are not those of others, which end in an UNDEF.
  public var knowsFeatures: Bool {
    merged != nil || !hidden.contains(Rule.switchWithoutFeature.id)
  }

  /// It shows whether the rule was broken.
  public func judges(_ rule: Rule) -> Bool {
    isUsable && !hidden.contains(rule.id) && !impossible.contains(rule.id)
  }

  /// Critical rules of which nothing can be said, though its kernel can break them.
  public var criticalNotJudged: [Rule] {
    Analysis.judgedRules.filter { rule in
      rule.isCorrectness && rule.severity == .critical && hidden.contains(rule.id)
        && !findings.contains { $0.rule == rule.id }
    }
  }

  public init(
    name: String, verdict: Analysis.Verdict, isIncomplete: Bool, kernel: String, findings: [Found],
    hidden: Set<String>, impossible: Set<String>, counters: Counters, guestTime: UInt64?,
    redundantAccesses: UInt64
  ) {
    self.name = name
    self.verdict = verdict
    self.isIncomplete = isIncomplete
    self.kernel = kernel
    self.findings = findings
    self.hidden = hidden
    self.impossible = impossible
    self.counters = counters
    self.guestTime = guestTime
    self.redundantAccesses = redundantAccesses
  }

  public init(name: String, kernel: String, _ analysis: Analysis) {
    var counters = Counters()
    if !analysis.vcpus.isEmpty { counters.bounds = CounterBounds() }
    for vcpu in analysis.vcpus {
      counters.add(vcpu.counters, hasFeature: vcpu.feature != .none && vcpu.feature != .partial)
    }
    self.init(
      name: name, verdict: analysis.verdict, isIncomplete: analysis.isIncomplete, kernel: kernel,
      findings: analysis.findings.map {
        Found(
          rule: $0.rule.id, severity: $0.rule.severity, level: $0.level.word,
          isCorrectness: $0.rule.isCorrectness, count: $0.count, statement: $0.statement)
      }, hidden: Set(analysis.notObservable.filter(\.applies).map(\.rule.id)),
      impossible: Set(analysis.notObservable.filter { !$0.applies }.map(\.rule.id)),
      counters: counters,
      guestTime: counters.guestTime,
      redundantAccesses: analysis.findings.filter {
        !$0.rule.isCorrectness && $0.rule != .lazyThrash
      }
      .reduce(0) { Counters.sum($0, $1.cost?.accesses ?? 0) })
    inCode = Set(analysis.code.rules.map(\.id))
  }

  /// An input that could not be read.
  public init(unreadable name: String) {
    self.init(
      name: name, verdict: .unusable, isIncomplete: true, kernel: "", findings: [], hidden: [],
      impossible: [], counters: Counters(), guestTime: nil, redundantAccesses: 0)
  }
}

extension Counters {
  /// As large as can be where the sum is larger: counts of a stranger's report can be anything.
  package static func sum(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let (sum, overflow) = a.addingReportingOverflow(b)
    return overflow ? .max : sum
  }

  /// All but the time.
  var counts: [UInt64] {
    [
      loads, puts, runs, knownRuns, enabledRuns, instructionTraps, registerTraps, hiddenTraps,
      undefs, resets, hostSaves, keySwitches,
    ]
  }

  /// - Parameter hasFeature: traps of a vCPU without ptrauth get an UNDEF in every scheme: they are no cost
  ///   of the key switch, and are not counted.
  package mutating func add(_ other: Counters, hasFeature: Bool) {
    func add(_ count: WritableKeyPath<Counters, UInt64>) {
      self[keyPath: count] = Self.sum(self[keyPath: count], other[keyPath: count])
    }
    for count in [
      \.loads, \.puts, \.runs, \.knownRuns, \.enabledRuns, \.undefs, \.resets, \.hostSaves,
      \.keySwitches, \.guestTime,
    ] as [WritableKeyPath<Counters, UInt64>] { add(count) }
    if hasFeature {
      for count in [\.instructionTraps, \.registerTraps, \.hiddenTraps]
        as [WritableKeyPath<Counters, UInt64>]
      { add(count) }
    }
    bounds.formUnion(other.bounds)
  }
}
