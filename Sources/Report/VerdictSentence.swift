import Ptrauth
import Replay

/// The verdict in words: what every report for people begins with.
struct VerdictSentence {
  enum Tone { case good, doubtful, bad }
  var word: String
  /// Follows the word after ": ".
  var rest: String
  var tone: Tone

  init(_ analysis: Analysis) {
    word = analysis.verdict.word.uppercased()
    switch analysis.verdict {
    case .findings:
      let rules = analysis.findings.filter(\.rule.isCorrectness).map(\.rule.id)
      rest = rules.enumerated().filter { rules.firstIndex(of: $0.element) == $0.offset }
        .map(\.element).joined(separator: ", ")
      tone = .bad
    case .incomplete:
      rest = "events are missing; nothing was found outside the gaps"
      tone = .doubtful
    case .clean:
      let others = analysis.notObservable.filter(\.rule.isCorrectness)
      let hidden = others.count(where: \.applies)
      let all = Analysis.judgedRules.count(where: \.isCorrectness) - (others.count - hidden)
      if hidden == all {
        rest = "but none of the \(all) correctness rules can be seen here"
        tone = .doubtful
      } else {
        rest =
          "\(all - hidden) of \(all) correctness rules judged, none broken"
          + (hidden == 0 ? "" : "; the others cannot be seen here")
        tone = .good
      }
    case .unusable:
      rest =
        analysis.passes == nil
        ? "no vCPU could be followed"
        : "no vCPU could be followed; passes are counted, and nothing else can be judged"
      tone = .doubtful
    }
  }
}
