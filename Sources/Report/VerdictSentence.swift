import Ptrauth
import Replay

/// The verdict in words: what every report for people begins with.
///
///     CLEAN, but missed-host-save was not judged: 11 of 13 correctness rules judged, none broken
///     word       caveat                           rest
struct VerdictSentence {
  enum Tone { case good, doubtful, bad }
  var word: String
  /// Follows the word: of what it speaks, and the critical rules that a clean verdict does not stand on.
  var caveat = ""
  /// Follows after ": ".
  var rest: String
  var tone: Tone

  /// Of a report, with what a kernel would add.
  init(_ document: Document) {
    self.init(document.analysis)
    if document.analysis.verdict == .unusable, document.analysis.passes == nil,
      let obstacle = document.obstacle
    {
      rest = obstacle
    }
    if let remark = document.kernelRemark("analyze") { rest += "; \(remark)" }
  }

  init(_ analysis: Analysis) {
    word = analysis.verdict.word.uppercased()
    let (judged, all) = (analysis.judged.count, analysis.breakable.count)
    let rules = analysis.isOfCosts ? "chosen rules" : "correctness rules"
    let judgedWords = "\(judged) of \(all) \(rules) judged" + Self.partly(analysis)
    let isOfPart = analysis.selection?.isOfPart ?? false
    // The code alone says nothing of a run.
    let inCode = analysis.code.rules.count
    let none =
      all > inCode || all == 0
      ? "none of the \(all - inCode) \(rules) can be judged from this recording"
      : "no event of this kernel shows the chosen rules, its code alone"
    switch analysis.verdict {
    case .findings:
      rest = Self.found(analysis) + "; \(judgedWords)"
      if analysis.isIncomplete { rest += "; events are missing" }
      rest += Self.shortcomings(analysis).map { "; " + $0 }.joined()
      if analysis.isLenient { caveat = Self.below(analysis) }
      tone = analysis.isLenient ? .doubtful : .bad
    case .incomplete:
      rest =
        "events are missing"
        + (analysis.missingParts.isEmpty
          ? "" : " (\(analysis.missingParts.joined(separator: "; ")))")
        + (judged == inCode
          ? ", and \(none)"
          : "; \(judgedWords), \(Self.broken(analysis))")
      if judged > inCode { rest += Self.shortcomings(analysis).map { "; " + $0 }.joined() }
      tone = .doubtful
    case .cannotJudge:
      let required = analysis.requiredNotJudged
      rest =
        judged == inCode || required.isEmpty
        ? none
        : Self.unfulfilled(required)
      tone = .doubtful
    case .clean:
      let hidden = analysis.criticalNotJudged
      rest =
        "\(judgedWords)\(isOfPart ? " in the whole recording" : ""), "
        + (analysis.isOfCosts
          ? "none is of correctness" : isOfPart ? "none broken there" : "none broken")
        + (judged == all || !hidden.isEmpty ? "" : "; the others cannot be seen here")
      let doubts =
        (hidden.isEmpty ? [] : [Self.notJudged(hidden)])
        + [CodeSentence.caveat(analysis.code)].compactMap(\.self)
      if !doubts.isEmpty { caveat = ", but " + doubts.joined(separator: ", and ") }
      tone = doubts.isEmpty ? .good : .doubtful
    case .unusable:
      rest =
        analysis.passes == nil
        ? "no vCPU could be followed"
        : "no vCPU could be followed; passes are counted, and nothing else can be judged"
      tone = .doubtful
    }
    caveat += Self.costly(analysis)
    if let selection = SelectionSentence(analysis) { caveat = selection.caveat + caveat }
  }

  /// "missed-host-save (critical, 375 proved, 2 suspected), bits-differ (medium, 1 proved)".
  private static func found(_ analysis: Analysis) -> String {
    var rules: [Rule] = []
    for finding in analysis.findings
    where finding.rule.isCorrectness && !rules.contains(finding.rule) {
      rules.append(finding.rule)
    }
    return rules.map { rule in
      "\(rule.id) (\(rule.severity.name), "
        + analysis.findings.filter { $0.rule == rule }.map(levelWords).joined(separator: ", ") + ")"
    }.joined(separator: ", ")
  }

  /// Why the exit code is none of findings.
  private static func below(_ analysis: Analysis) -> String {
    let broken = analysis.findings.filter(\.rule.isCorrectness)
    if broken.allSatisfy(analysis.isKnown) { return ", all known" }
    let failOn = analysis.failOn
    if broken.contains(where: analysis.isKnown) {
      return ", known or not failing by --fail-on \(failOn?.name ?? "none")"
    }
    return failOn.map { " below --fail-on \($0.name)" } ?? ", which --fail-on none lets pass"
  }

  /// Costs that make a command fail where no correctness rule does.
  private static func costly(_ analysis: Analysis) -> String {
    let failing = analysis.failing
    guard let failOn = analysis.failOn, !failing.isEmpty,
      !failing.contains(where: \.rule.isCorrectness)
    else { return "" }
    var rules: [String] = []
    for finding in failing where !rules.contains(finding.rule.id) { rules.append(finding.rule.id) }
    return ", but \(enumerated(rules)) \(rules.count == 1 ? "is" : "are") at or above --fail-on "
      + failOn.name
  }

  /// What stands in spite of what is missing.
  private static func broken(_ analysis: Analysis) -> String {
    var rules: [String] = []
    for finding in analysis.findings
    where finding.rule.isCorrectness && !rules.contains(finding.rule.id) {
      rules.append(finding.rule.id)
    }
    return rules.isEmpty
      ? "none broken outside the gaps"
      : "and \(enumerated(rules)) may only seem broken, as events are missing that nothing accounts for"
  }

  /// The whole in a line.
  var line: String { "\(word)\(caveat): \(rest)" }

  /// The whole inside of a line: "clean, but ...".
  var phrase: String { word.lowercased() + caveat + ": " + rest }

  /// The rules that are required and were not judged, with what would show them; nil: none.
  static func unfulfilled(_ analysis: Analysis) -> String? {
    let items = analysis.requiredNotJudged
    return items.isEmpty ? nil : unfulfilled(items)
  }

  /// What a verdict that is not clean does not stand on.
  private static func shortcomings(_ analysis: Analysis) -> [String] {
    let required = analysis.requiredNotJudged
    let critical = analysis.criticalNotJudged.filter { item in
      !required.contains { $0.rule == item.rule }
    }
    return (required.isEmpty ? [] : [unfulfilled(required)])
      + (critical.isEmpty ? [] : [notJudged(critical)])
  }

  /// "stale-enable and host-key-leak were not judged".
  private static func notJudged(_ items: [Analysis.NotObservable]) -> String {
    enumerated(items.map(\.rule.id)) + (items.count == 1 ? " was" : " were") + " not judged"
  }

  /// " (missed-host-save on 3 of 5 vCPUs, stale-enable on 4 of 5)": where a fault of the others would not have shown.
  private static func partly(_ analysis: Analysis) -> String {
    var parts: [String] = []
    for covered in analysis.criticalInPart {
      guard let vcpus = covered.vcpus else { continue }
      parts.append(
        "\(covered.rule.id) on \(vcpus.seen) of \(vcpus.concerned)"
          + (parts.isEmpty ? " vCPUs" : ""))
    }
    return parts.isEmpty ? "" : " (\(parts.joined(separator: ", ")))"
  }

  /// The rules that are required, and what would show them.
  private static func unfulfilled(_ items: [Analysis.NotObservable]) -> String {
    var remedies: [String] = []
    for item in items where !remedies.contains(item.remedy) { remedies.append(item.remedy) }
    return enumerated(items.map(\.rule.id)) + (items.count == 1 ? " is" : " are")
      + " required and " + (items.count == 1 ? "was" : "were") + " not judged: "
      + remedies.joined(separator: "; ")
  }
}

/// "a, b and c".
func enumerated(_ names: [String]) -> String {
  guard let last = names.last, names.count > 1 else { return names.first ?? "" }
  return names.dropLast().joined(separator: ", ") + " and " + last
}
