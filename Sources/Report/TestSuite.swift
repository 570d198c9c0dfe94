public import Ptrauth
public import Replay

/// One recording as CI systems see it: one rule is one test case. The machine formats render lists of
/// suites, one for each recording.
///
///     correctness or cost found, severity >= --fail-on   failed
///     rule not observable in this recording              skipped, with what would show it; error if required
///     rule that this kernel cannot break                 skipped, with why; required or not
///     verdict rule found, severity < --fail-on           skipped: it is no pass either
///     events are missing, no vCPU, unreadable            error: never a pass
///     otherwise                                          passed
///
/// So a suite has failures if and only if the exit code is 1; without failures the exit code is 2 if and
/// only if the suite has errors, or is skipped: no correctness rule could be judged.
public struct TestSuite: Sendable {
  /// What the suite is called; see ``SuiteNames``.
  public var name = SuiteNames.standard
  /// The recording's path, as the user gave it.
  public var path: String
  public var cases: [TestCase]
  /// nil: the recording could not be analysed.
  public var document: Document?
  /// Why rules could not be judged that the recording's probes would show, or that are required; nil if all
  /// were. Cases say it in short.
  public var trouble: String?

  /// - Parameter failOn: `--fail-on`; nil is never.
  public init(_ judged: Document, failOn: Rule.Severity?) {
    var document = judged
    document.analysis.failOn = failOn
    let analysis = document.analysis
    let isUnusable = analysis.verdict == .unusable
    let short =
      isUnusable ? "no vCPU could be followed" : analysis.isIncomplete ? "events are missing" : nil
    trouble =
      isUnusable
      ? "no vCPU could be followed" + (document.obstacle.map { ": \($0)" } ?? "")
      : short.map { _ in LossSentences(document).sentence }
        ?? VerdictSentence.unfulfilled(analysis)
    path = document.recording.path
    self.document = document
    let chosen = analysis.selection?.rules
    let names = VCPUNames(analysis)
    cases = Analysis.judgedRules.filter { chosen?.contains($0) ?? true }.map { rule in
      let findings = analysis.findings.filter { $0.rule.id == rule.id }
      return TestCase(
        rule: rule, findings: findings, source: document.kernel.sources[rule.id],
        isKnown: !findings.isEmpty && findings.allSatisfy(analysis.isKnown), names: names,
        result: Self.result(
          rule, findings, in: analysis, trouble: short,
          hidden: analysis.notObservable.first { $0.rule.id == rule.id },
          isRequired: analysis.requirement.requires(rule)))
    }
  }

  /// A recording that could not be analysed, and why.
  public init(unreadable path: String, because sentence: String) {
    self.path = path
    trouble = sentence
    cases = Analysis.judgedRules.map {
      TestCase(
        rule: $0, findings: [], source: nil, result: .error("the recording could not be analysed"))
    }
  }

  private static func result(
    _ rule: Rule, _ findings: [Finding], in analysis: Analysis, trouble: String?,
    hidden: Analysis.NotObservable?, isRequired: Bool
  ) -> TestCase.Result {
    if analysis.failing.contains(where: { $0.rule == rule }) { return .failed }
    if !findings.isEmpty, findings.allSatisfy(analysis.isKnown),
      rule.decidesVerdict || analysis.failOn.map({ rule.severity >= $0 }) ?? false
    {
      return .skipped("known, and does not count")
    }
    if !findings.isEmpty, rule.decidesVerdict {
      guard analysis.verdict == .findings else {
        return .error("may only seem broken, as \(trouble ?? "events are missing")")
      }
      return .skipped(
        "found, and its severity \(rule.severity.name) is below --fail-on "
          + (analysis.failOn?.name ?? "none"))
    }
    if let hidden, !hidden.applies { return .skipped("cannot happen here: \(hidden.reason)") }
    if let hidden {
      let words = "\(hidden.reason); \(hidden.remedy)"
      return isRequired ? .error("required and not judged: \(words)") : .skipped(words)
    }
    if let trouble { return .error(trouble) }
    return .passed
  }

  /// A critical rule of which nothing can be said.
  func lacks(_ rule: Rule) -> Bool {
    document?.analysis.criticalNotJudged.contains { $0.rule == rule } ?? false
  }

  /// A required rule of which nothing can be said.
  func requires(_ rule: Rule) -> Bool {
    document?.analysis.requiredNotJudged.contains { $0.rule == rule } ?? false
  }

  /// How many cases have a result of this kind.
  public func count(_ kind: TestCase.Result.Kind) -> Int {
    cases.count { $0.result.kind == kind }
  }

  /// The worst result of the suite: a failure, else an error, else a pass, else skipped. Costs that pass
  /// are no pass where no correctness rule could be judged.
  public var worst: TestCase.Result.Kind {
    var order: [TestCase.Result.Kind] = [.failed, .error, .passed]
    if document?.analysis.verdict == .cannotJudge { order.removeLast() }
    return order.first { kind in cases.contains { $0.result.kind == kind } } ?? .skipped
  }
}

/// A rule and what became of it in one recording.
public struct TestCase: Sendable {
  public var rule: Rule
  /// What was found; a cost below `--fail-on` is found and passes.
  public var findings: [Finding]
  /// The code the rule is about, where a vmlinux with DWARF told.
  public var source: SourcePlace?
  /// All that was found is in the list of known findings.
  public var isKnown = false
  /// The vCPUs of the recording.
  var names: VCPUNames?

  func name(_ identity: VCPUIdentity) -> String {
    names?.name(identity) ?? "vCPU \(identity.number.map(String.init) ?? "?")"
  }

  public var result: Result

  public enum Result: Sendable, Hashable {
    case passed
    case failed
    /// Not judged, and why.
    case skipped(String)
    /// The recording should have shown it and could not, and why.
    case error(String)

    public enum Kind: String, Sendable, Hashable { case passed, failed, skipped, error }
    public var kind: Kind {
      switch self {
      case .passed: .passed
      case .failed: .failed
      case .skipped: .skipped
      case .error: .error
      }
    }
    /// Why there is no judgement; nil if there is one.
    public var reason: String? {
      switch self {
      case .passed, .failed: nil
      case .skipped(let reason), .error(let reason): reason
      }
    }
  }

  /// What was found in a few words: "critical, 375 proved on 3 vCPUs, 2 suspected"; of costs "27 proved, 810 register
  /// accesses (30 each)". nil if nothing was.
  public var summary: String? {
    guard !findings.isEmpty else { return nil }
    guard rule.isCorrectness else {
      return findings.map { costWords($0, times: levelWords($0)) }.joined(separator: "; ")
    }
    return
      ([rule.severity.name]
      + findings.map {
        levelWords($0) + ($0.vcpus.count > 1 ? " on \($0.vcpus.count) vCPUs" : "")
      }).joined(separator: ", ")
  }
}

/// "27 times, 810 register accesses": what a cost rule's occurrences cost.
/// - Parameters:
///   - kernel: where there is room to say why one costs what it does.
///   - times: how it says how often.
func costWords(_ finding: Finding, _ kernel: KernelFacts? = nil, times: String? = nil) -> String {
  var words = times ?? counted(finding.count, "time")
  if let cost = finding.cost, cost.accesses > 0 {
    words += ", \(counted(cost.accesses, "register access", "register accesses"))"
    // A gap of which the host consumed APIA costs less: 4 of 5 keys.
    if let basis = kernel.flatMap({ CostSentence.of(finding, $0) }) {
      words += " (\(basis))"
    } else if finding.rule == .redundantSwitch, finding.count > 0 {
      words += " (\(cost.accesses / finding.count) each"
      words +=
        cost.accesses / finding.count < Cost.switchedPass.accesses
        ? ": APIA is the kernel's, and needed)" : ")"
    }
  }
  if let cost = finding.cost, cost.trips > 0 { words += ", \(counted(cost.trips, "trip"))" }
  return words
}
