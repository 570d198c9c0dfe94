import Replay

/// What is missing from a recording, one sentence each.
enum LossSentences {
  static func of(_ document: Document) -> [String] {
    let analysis = document.analysis
    var sentences: [String] = []
    if !analysis.lostEvents.isEmpty {
      sentences.append(
        "lost: "
          + analysis.lostEvents.map {
            ($0.count == 0 ? "uncounted events" : counted($0.count, "event")) + " on pCPU \($0.cpu)"
          }.joined(separator: ", "))
    }
    if document.recording.lostSamples > 0 {
      sentences.append(
        "lost: \(document.recording.lostSamples) in all, as the recorder counted without saying when"
      )
    }
    if document.recording.isIncomplete { sentences.append("the recording's end is missing") }
    for tail in analysis.silentTails {
      sentences.append(
        "pCPU \(tail.cpu) wrote nothing in the last \(duration(tail.nanoseconds)), though a task "
          + "ran there")
    }
    if analysis.sequenceBreaks > 0 {
      sentences.append(
        "\(counted(analysis.sequenceBreaks, "sequence")) of events cannot be without missing ones, "
          + "though the recording does not say so")
    }
    return sentences
  }
}
