import Fleet
import Ptrauth
import Regression
import Replay

/// What no recordings say, added up in whatever way: a line that was edited, or cut and mended.
///
/// Each of these holds of one recording, and of sums, of saturated ones too.
extension Tally {
  /// nil: none.
  var contradiction: String? {
    guard recordings > 0 else { return "it is of no recordings" }
    guard verdicts.values.reduce(0, Counters.sum) == recordings else {
      return "verdicts are not those of \(counted(recordings, "recording"))"
    }
    let unfit = Counters.sum(
      Counters.sum(count(.incomplete), count(.cannotJudge)), count(.unusable))
    guard (unfit...recordings).contains(open) else {
      return "open is not that of its verdicts"
    }
    guard count(.incomplete) <= eventsMissing, eventsMissing <= open else {
      return "eventsMissing is not that of its verdicts"
    }
    guard max(leastSwitches, leastLoads) <= recordings else {
      return "lowerBounds are of more than \(counted(recordings, "recording"))"
    }
    for (rule, found) in rules {
      if let words = found.contradiction(recordings) { return "rules.\(rule.id) \(words)" }
      if rule.isCorrectness, found.recordings(.broken) > count(.findings) {
        return "rules.\(rule.id) is broken in more recordings than have findings"
      }
    }
    if let words = unfounded { return words }
    for (metric, rates) in rates
    where rates.recordings.count > recordings || rates.vms.count > vms || rates.vcpus.count > vcpus
    {
      return "rates.\(metric.name) has more values than there is what has one"
    }
    return nil
  }

  /// A verdict that no rule bears out.
  private var unfounded: String? {
    func sum(_ outcomes: RuleTally.Outcome...) -> UInt64 {
      rules.filter(\.key.isCorrectness).values.reduce(0) { sum, found in
        outcomes.reduce(sum) { Counters.sum($0, found.recordings($1)) }
      }
    }
    if sum(.broken, .known) < count(.findings) {
      return "no rule is found where verdicts say findings"
    }
    if sum(.broken, .known, .doubtful, .kept) < count(.clean) {
      return "no correctness rule is judged where verdicts say clean"
    }
    return nil
  }
}

extension RuleTally {
  fileprivate func contradiction(_ recordings: UInt64) -> String? {
    if outcomes.values.reduce(0, Counters.sum) > recordings {
      return "is of more than \(counted(recordings, "recording"))"
    }
    return found == 0 && count > 0 ? "was found in no recording, and yet \(count) times" : nil
  }
}
