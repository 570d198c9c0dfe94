import Fleet
import Ptrauth
import Regression
import Replay

/// What a merged report may say of a row, and of all rows: no more than their recordings say one by one.
extension FleetReport {
  /// Correctness rules that a row breaks.
  func breaks(_ tally: Tally) -> [Rule] {
    broken.map(\.rule).filter { (tally.rules[$0]?.recordings(.broken) ?? 0) > 0 }
  }

  /// Correctness rules of which a row has findings, and all are in the list of known ones.
  static func knows(_ tally: Tally) -> [Rule] {
    Rule.all.filter { rule in
      guard rule.decidesVerdict, let found = tally.rules[rule] else { return false }
      return found.recordings(.known) > 0 && found.recordings(.broken) == 0
    }
  }

  /// Critical rules that no recording of a row judges, though its kernel or its guests can break them.
  static func unseen(_ tally: Tally) -> [Rule] {
    Analysis.judgedRules.filter { rule in
      guard rule.isCorrectness, rule.severity == .critical else { return false }
      guard let found = tally.rules[rule] else { return true }
      return found.judged == 0 && found.recordings(.impossible) < tally.recordings
    }
  }

  /// A row's answer.
  func word(_ tally: Tally) -> String {
    if !breaks(tally).isEmpty { return "findings" }
    if tally.open > 0 { return "cannot judge" }
    return tally.count(.findings) > 0 ? "findings" : "clean"
  }

  /// The answer with what it does not stand on: "clean, but missed-host-save was not judged".
  func words(_ tally: Tally) -> String {
    let word = word(tally)
    let known = word == "findings" && breaks(tally).isEmpty ? ", all known" : ""
    let unseen = Self.unseen(tally).map(\.id)
    guard word != "cannot judge", !unseen.isEmpty else { return word + known }
    return word + known + ", but " + Self.notJudged(unseen)
  }

  /// Rows that are no pass and break no rule are doubtful.
  func tone(_ tally: Tally) -> VerdictSentence.Tone {
    if !tally.failing(failOn).isEmpty { return .bad }
    return words(tally) == "clean" ? .good : .doubtful
  }

  var tone: VerdictSentence.Tone {
    failing.isEmpty ? (headline == "CLEAN" ? .good : .doubtful) : .bad
  }

  var word: String {
    if !broken.isEmpty { return "FINDINGS" }
    return isOpen ? "CANNOT JUDGE" : total.count(.findings) > 0 ? "FINDINGS" : "CLEAN"
  }

  /// The word, and what it does not stand on.
  var headline: String {
    let known = word == "FINDINGS" && broken.isEmpty ? ", all known" : ""
    guard word == "CLEAN", !unseen.isEmpty else { return word + known }
    return "CLEAN, but " + Self.notJudged(unseenWords)
  }

  /// Follows the headline.
  var sentence: String {
    var parts = broken.prefix(3).map { found in
      "\(found.rule.id) in \(of(found.tally.recordings(.broken), total.recordings)), first in "
        + rows[found.first].group.words
    }
    if broken.count > 3 { parts.append("\(broken.count - 3) more rules") }
    let known = Self.knows(total).map { rule in
      "\(rule.id) is known in \(of(total.rules[rule]?.recordings(.known) ?? 0, total.recordings))"
    }
    parts += known
    if broken.isEmpty {
      parts.append(
        total.recordings == 0
          ? "there is no recording"
          : "no \(known.isEmpty ? "" : "other ")correctness rule is broken in \(counted(total.recordings, "recording"))"
      )
    }
    if !broken.isEmpty, failing.isEmpty { parts.append("none of them fails") }
    if total.open > 0 {
      parts.append("\(counted(total.open, "recording")) \(total.open == 1 ? "is" : "are") no pass")
    }
    if word == "FINDINGS", !unseen.isEmpty { parts.append(Self.notJudged(unseenWords)) }
    if !fleet.damaged.isEmpty {
      let count = fleet.damaged.total
      parts.append(
        "\(counted(count, "line")) of the input \(count == 1 ? "is" : "are") no summary")
    }
    return parts.joined(separator: "; ")
  }

  /// Of how many rows each: "missed-host-save", "stale-enable (in 2 of 5 rows)".
  private var unseenWords: [String] {
    unseen.map {
      $0.rows == rows.count ? $0.rule.id : "\($0.rule.id) (in \($0.rows) of \(rows.count) rows)"
    }
  }

  private static func notJudged(_ rules: [String]) -> String {
    enumerated(rules) + (rules.count == 1 ? " was" : " were") + " not judged"
  }

  /// The last row before the first bad one that keeps what that one breaks, whatever else of it cannot be said.
  private var lastGood: Int? {
    guard let bad = firstBad else { return nil }
    let rules = rows[bad].tally.failing(failOn)
    return rows[..<bad].lastIndex { row in
      row.group.isOlder(than: rows[bad].group)
        && rules.allSatisfy { row.tally.rules[$0]?.isKept ?? false }
    }
  }

  /// Follows the name of the first bad row: the last before it that was still right, and how many between them cannot
  /// say, or have it among what is known.
  var beforeFirstBad: String {
    guard let bad = firstBad else { return "" }
    let older = rows[..<bad].count { $0.group.isOlder(than: rows[bad].group) }
    guard older > 0 else { return "; there is none before it" }
    let rules = rows[bad].tally.failing(failOn)
    let between = rows[((lastGood ?? -1) + 1)..<bad].filter {
      $0.group.isOlder(than: rows[bad].group)
    }
    let known = between.count { row in
      rules.contains { (row.tally.rules[$0]?.recordings(.known) ?? 0) > 0 }
    }
    var words =
      lastGood.map { good in
        (word(rows[good].tally) == "clean"
          ? "; the last clean one before it: " : "; the last before it that keeps what it breaks: ")
          + rows[good].group.words
      } ?? "; none of the \(older) before it judges and keeps what it breaks"
    if lastGood != nil, between.count > known {
      words += "; \(between.count - known) between them cannot say"
    }
    if known > 0 {
      words += "; in \(known) \(lastGood == nil ? "of these" : "between them") it is known"
    }
    return words
  }
}
