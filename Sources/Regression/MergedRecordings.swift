public import Ptrauth

/// What a side of a comparison says of many recordings at once.
public struct MergedRecordings: Sendable {
  public var recordings: Int
  /// "120 findings, 380 clean".
  public var verdicts: String
  /// Recordings that have a finding of a rule.
  public var having: [String: Int] = [:]
  /// Recordings that say whether it was broken.
  public var judging: [String: Int] = [:]
  /// Rules that some recording without gaps shows not to be broken.
  public var absent: Set<String> = []
  /// One value a recording, as near as a sketch keeps it.
  public var rates: [Metric: [Double]] = [:]

  public init(recordings: Int, verdicts: String) {
    self.recordings = recordings
    self.verdicts = verdicts
  }
}

extension Rule {
  /// Rules that only guests of a kind can show to be broken: a recording without such guests shows neither.
  static let ofCertainGuests: [Rule] = [.switchWithoutFeature, .nestedBitsDiffer, .undefStorm]

  package var isOfCertainGuests: Bool { Self.ofCertainGuests.contains(self) }
}

extension Sample {
  /// How many recordings it stands for.
  public var weight: Int { merged?.recordings ?? 1 }

  /// How many of them have a finding of the rule.
  func having(_ rule: String) -> Int {
    merged.map { $0.having[rule] ?? 0 } ?? (findings.contains { $0.rule == rule } ? 1 : 0)
  }

  /// How many of them say whether it was broken.
  func judging(_ rule: String) -> Int {
    if let merged { return merged.judging[rule] ?? 0 }
    return isUsable && !hidden.contains(rule) && !impossible.contains(rule) ? 1 : 0
  }

  /// Nothing was found, and would have been.
  package func showsAbsence(of rule: String) -> Bool {
    merged.map { $0.absent.contains(rule) }
      ?? (isUsable && !isIncomplete && !hidden.contains(rule)
        && !(impossible.contains(rule) && Rule.ofCertainGuests.contains { $0.id == rule }))
  }
}
