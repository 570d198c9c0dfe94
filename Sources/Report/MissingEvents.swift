import Replay

/// What a recording lacks, in words.
enum MissingEvents {
  /// "events are missing: 12 events lost on pCPU 1, ...".
  static func sentence(_ document: Document) -> String {
    let analysis = document.analysis
    var parts = analysis.lostEvents.map {
      ($0.count == 0 ? "uncounted events" : counted($0.count, "event")) + " lost on pCPU \($0.cpu)"
    }
    if document.recording.lostSamples > 0 {
      parts.append(
        counted(document.recording.lostSamples, "sample") + " lost, the recorder does not say when")
    }
    if document.recording.isIncomplete { parts.append("the recording is cut") }
    if analysis.sequenceBreaks > 0 {
      parts.append(
        counted(analysis.sequenceBreaks, "sequence")
          + " of events that cannot be without missing ones")
    }
    return "events are missing" + (parts.isEmpty ? "" : ": " + parts.joined(separator: ", "))
  }
}
