import Ptrauth
import Replay

/// What a list of known findings came to.
struct KnownSentence {
  /// "1 of 5 findings is known, and does not count"; nil: there is no list.
  var text: String?
  /// Known ones that are not there.
  var gone: [String] = []

  init(_ analysis: Analysis) {
    guard let known = analysis.known else { return }
    let (count, all) = (known.findings.count, analysis.findings.count)
    text =
      count == 0
      ? "none of \(counted(UInt64(all), "finding"))"
      : "\(count) of \(counted(UInt64(all), "finding")), not counted: "
        + known.findings.map { "\($0.rule.id) (\($0.level.word))" }.joined(separator: ", ")
    gone = known.gone.map { gone in
      "\(gone.rule) (\(gone.level.word)): "
        + (gone.isJudged
          ? "not seen any more" : "this recording does not show whether it is still so")
    }
  }

  /// For formats of lines.
  var lines: [String] { (text.map { ["known \($0)"] } ?? []) + gone.map { "known \($0)" } }
}
