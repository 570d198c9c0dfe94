import Ptrauth
import Replay

/// The verdict in words: what every report for people begins with.
struct VerdictSentence {
  enum Tone { case good, doubtful, bad }
  var word: String
  /// Follows the word after ": ".
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
    switch analysis.verdict {
    case .findings:
      let rules = analysis.findings.filter(\.rule.isCorrectness).map(\.rule.id)
      rest = rules.enumerated().filter { rules.firstIndex(of: $0.element) == $0.offset }
        .map(\.element).joined(separator: ", ")
      tone = .bad
    case .incomplete:
      rest =
        "events are missing"
        + (judged == 0
          ? ", and none of the \(all) correctness rules can be judged from this recording"
          : "; \(judged) of \(all) correctness rules judged, none broken outside the gaps")
      tone = .doubtful
    case .cannotJudge:
      rest = "none of the \(all) correctness rules can be judged from this recording"
      tone = .doubtful
    case .clean:
      rest =
        "\(judged) of \(all) correctness rules judged, none broken"
        + (judged == all ? "" : "; the others cannot be seen here")
      tone = .good
    case .unusable:
      rest =
        analysis.passes == nil
        ? "no vCPU could be followed"
        : "no vCPU could be followed; passes are counted, and nothing else can be judged"
      tone = .doubtful
    }
  }
}
