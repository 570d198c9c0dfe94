public import Ptrauth

/// What the code of the recorded kernel says of the rules.
public struct CodeJudgement: Sendable {
  /// The answers; nil: there are none.
  public var audit: CodeAudit?
  /// Why there are none, in words.
  public var reason: String?
  /// Rules that no event of this kernel shows, and that its code keeps or breaks.
  public var rules: [Rule] = []

  public init(_ audit: CodeAudit) { self.audit = audit }
  public init(reason: String) { self.reason = reason }

  /// What is wrong in code that nothing shows to have run: it says nothing of the recorded run.
  public var failuresElsewhere: [CodeCheck] {
    (audit?.failures ?? []).filter { $0.part != .scheme && $0.rule?.decidesVerdict ?? true }
  }

  /// What could not be judged.
  public var open: [CodeCheck] { (audit?.checks ?? []).filter { $0.outcome == .cannotJudge } }

  /// Failures in code that every pass, load or trap comes through.
  var failures: [CodeCheck] {
    (audit?.failures ?? []).filter { $0.part == .scheme && $0.rule?.decidesVerdict ?? false }
  }

  /// What the code says of a rule that no event shows.
  enum Answer {
    case judged
    /// There is no such code in this kernel.
    case cannotHappen
    case open(CodeCheck?)
  }

  func answer(_ rule: Rule) -> Answer {
    guard let audit else { return .open(nil) }
    if failures.contains(where: { $0.rule == rule }) { return .judged }
    let checks = audit.checks.filter {
      $0.part == rule.part && rule.questions.contains($0.question)
    }
    if checks.isEmpty, rule.part == .protectedMode, !audit.checks.isEmpty { return .cannotHappen }
    if let open = checks.first(where: { $0.outcome == .cannotJudge }) { return .open(open) }
    return checks.contains { [.pass, .fail].contains($0.outcome) } ? .judged : .open(nil)
  }
}

extension Analysis {
  /// Takes what the kernel's code says: failures in code that every pass, load or trap comes through are
  /// findings, and rules that no event shows are judged by it. Where no vCPU could be followed there was no run
  /// to speak of.
  public mutating func take(_ judgement: CodeJudgement) {
    code = judgement
    guard verdict != .unusable, judgement.audit != nil else { return }
    notObservable = notObservable.compactMap { hidden in
      guard hidden.isInCode, hidden.applies else { return hidden }
      switch judgement.answer(hidden.rule) {
      case .judged:
        code.rules.append(hidden.rule)
        return nil
      case .cannotHappen:
        return .cannotHappen(hidden.rule, "the code of this kernel has no place for it")
      case .open(let check):
        var hidden = hidden
        if let check {
          hidden.reason += ", and the audit cannot judge \(check.place): \(check.statement)"
        }
        return hidden
      }
    }
    var failures: [(rule: Rule, checks: [CodeCheck])] = []
    for check in judgement.failures {
      guard let rule = check.rule else { continue }
      if let index = failures.firstIndex(where: { $0.rule == rule }) {
        failures[index].checks.append(check)
      } else {
        failures.append((rule, [check]))
      }
    }
    // Every vCPU runs the code, on every pCPU and at all times.
    let all = failures.map { Finding($0.rule, in: $0.checks) }
    selection?.findings += all.count
    selection?.occurrences += all.reduce(0) { $0 + $1.count }
    selection?.foundRules += all.map(\.rule)
    let found = all.filter { selection?.rules?.contains($0.rule) ?? true }
    guard !found.isEmpty else { return }
    findings = (findings + found).worstFirst
    verdict = .findings
  }

  /// The correctness rules that the recording itself shows.
  public var judgedByEvents: [Rule] { judged.filter { !code.rules.contains($0) } }
}

extension Finding {
  /// What is wrong in the code, at one place or more.
  fileprivate init(_ rule: Rule, in checks: [CodeCheck]) {
    self.init(
      rule: rule, level: .static, count: UInt64(checks.count), first: nil, last: nil, evidence: [],
      code: checks.flatMap { check in
        let marked = check.lines.filter(\.isMarked)
        return (marked.isEmpty ? check.lines : marked).prefix(8)
      },
      statement: checks.map { "in \($0.place), \($0.statement)" }.joined(separator: "; "),
      vcpus: [], cost: nil)
  }
}
