import Ptrauth
public import Regression
import Replay

extension Sample {
  /// More recordings than these are not laid out for a comparison.
  public static let mostMerged: UInt64 = 1 << 22

  /// All recordings of a tally as one side of a comparison; nil if they are more than ``mostMerged``.
  public init?(_ tally: Tally, name: String, kernel: String) {
    guard tally.recordings <= Self.mostMerged else { return nil }
    let order: [Analysis.Verdict] = [.findings, .incomplete, .cannotJudge, .clean]
    let verdict = order.first { tally.count($0) > 0 } ?? .unusable
    self.init(
      name: name, verdict: verdict,
      isIncomplete: tally.eventsMissing > 0 || tally.count(.unusable) > 0, kernel: kernel,
      findings: Rule.all.compactMap { rule in
        guard let found = tally.rules[rule], found.found > 0 else { return nil }
        return Found(
          rule: rule.id, severity: rule.severity,
          level: found.occurrences.keys.max()?.word ?? Finding.Level.suspected.word,
          isCorrectness: rule.isCorrectness, count: found.count, statement: rule.title)
      },
      hidden: Set(
        Analysis.judgedRules.filter { tally.silent(on: $0) > 0 && tally.says(nothingOf: $0) }
          .map(\.id)),
      impossible: Set(
        Rule.all.filter {
          tally.rules[$0]?.recordings(.impossible) == tally.recordings && tally.recordings > 0
        }.map(\.id)),
      counters: tally.counters, guestTime: nil, redundantAccesses: 0)
    counters.bounds = CounterBounds(lower: tally.leastSwitches == 0 ? [] : .keySwitches)
    // No event judged a rule in any of them.
    if verdict == .cannotJudge, tally.count(.clean) == 0 {
      inCode = Set(Analysis.judgedRules.map(\.id))
    }
    var merged = MergedRecordings(
      recordings: Int(clamping: tally.recordings),
      verdicts: Analysis.Verdict.allCases.filter { tally.count($0) > 0 }
        .map { "\(tally.count($0)) \($0.word)" }.joined(separator: ", "))
    for (rule, found) in tally.rules {
      merged.having[rule.id] = Int(clamping: found.found)
      merged.judging[rule.id] = Int(
        clamping: found.recordings(.broken, .known, .doubtful, .kept, .keptOutsideGaps))
      if found.recordings(.kept) > 0
        || found.recordings(.impossible) == tally.recordings && !rule.isOfCertainGuests
      {
        merged.absent.insert(rule.id)
      }
    }
    for (metric, rates) in tally.rates {
      merged.rates[metric] = rates.recordings.values.flatMap {
        Array(repeating: $0.value, count: Int(clamping: $0.count))
      }
    }
    self.merged = merged
  }
}
