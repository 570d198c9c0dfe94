import Replay

/// What is missing from a recording, in words.
package struct LossSentences {
  /// Events that are missing for certain.
  package private(set) var missing: [String] = []
  /// What may be missing, too.
  private(set) var doubts: [String] = []

  package init(_ document: Document) {
    let analysis = document.analysis
    if let lost = Self.lost(analysis, document.recording) { missing.append(lost) }
    missing += analysis.missingParts
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

  /// "32 events lost (12 on pCPU 1; of 20 it is not said when): record with a larger buffer (perf record -m 16M)".
  ///
  /// What is counted without a time holds what is counted with one: the two are not added.
  private static func lost(_ analysis: Analysis, _ recording: RecordingFacts) -> String? {
    let places = analysis.lostEvents
    guard !places.isEmpty || recording.lostSamples > 0 else { return nil }
    let placed = places.reduce(0) { $0 &+ $1.count }
    let all = max(placed, recording.lostSamples)
    var parts = places.map {
      ($0.count == 0 ? "uncounted" : String($0.count))
        + ($0.cpu < 0 ? " on a pCPU that is not said" : " on pCPU \($0.cpu)")
    }
    if all > placed { parts.append("of \(all - placed) it is not said when") }
    return (all == 0 ? "events" : counted(all, "event"))
      + " lost (\(parts.joined(separator: ", "))): "
      + remedy(recording)
  }

  /// As the recorder that wrote the file spells it.
  private static func remedy(_ recording: RecordingFacts) -> String {
    let option =
      if recording.format.hasPrefix("perf.data") {
        "perf record -m 16M"
      } else if recording.format.hasPrefix("trace.dat") {
        "trace-cmd record -b 65536, ptrauth-trace record --buffer-size 65536"
      } else {
        "echo 65536 > buffer_size_kb"
      }
    return "record with a larger buffer (\(option))"
  }

  /// "events are missing: 12 events lost on pCPU 1, ...".
  var sentence: String {
    "events are missing" + (missing.isEmpty ? "" : ": " + missing.joined(separator: ", "))
  }
}
