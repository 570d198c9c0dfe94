import Replay

/// What is missing from a recording, in words.
struct LossSentences {
  /// Events that are missing for certain.
  private(set) var missing: [String] = []
  /// What may be missing, too.
  private(set) var doubts: [String] = []

  init(_ document: Document) {
    let analysis = document.analysis
    missing = analysis.lostEvents.map {
      ($0.count == 0 ? "uncounted events" : counted($0.count, "event")) + " lost on pCPU \($0.cpu)"
    }
    missing += analysis.missingParts
    let samples = document.recording.lostSamples
    if samples > 0 {
      missing.append(counted(samples, "sample") + " lost, the recorder does not say when")
    }
    if document.recording.isIncomplete { missing.append("the recording is cut") }
    if analysis.sequenceBreaks > 0 {
      missing.append(
        counted(analysis.sequenceBreaks, "sequence")
          + " of events that cannot be without missing ones")
    }
    doubts = analysis.silentTails.map {
      "pCPU \($0.cpu) wrote nothing in the last \(duration($0.nanoseconds)), though a task ran there"
    }
    if let longest = analysis.longestSilence {
      let times = analysis.silenceCount == 1 ? "" : "\(analysis.silenceCount) times, at most "
      doubts.append(
        "no pCPU wrote anything for \(times)\(duration(longest.nanoseconds)), though a task ran on pCPU "
          + "\(longest.busyCPU) (was the recorder paused?): nothing is concluded across that")
    }
  }

  /// "events are missing: 12 events lost on pCPU 1, ...".
  var sentence: String {
    "events are missing" + (missing.isEmpty ? "" : ": " + missing.joined(separator: ", "))
  }
}
