import Ptrauth
import Report

/// A night in a lab: releases that were good, and those since a change that was not.
enum FleetNight {
  static let kernels = [
    ("6.1.0", "61"), ("6.2.0-rc1", "62"), ("6.2.0-rc3", "63"), ("6.2.0", "6c"), ("6.2.1", "6d"),
    ("6.10.0", "6e"),
  ]

  /// As many of each kernel, each on one of three boards.
  static func lines(recordings: Int) -> [[UInt8]] {
    (0..<recordings).map { number in
      let (release, id) = kernels[number % kernels.count]
      var document = number % kernels.count < 3 ? Documents.clean : Documents.faulty
      document.recording.osRelease = release
      document.recording.path = "night/\(number).data"
      document.kernel.recordedBuildID = id + String(repeating: "0", count: 38)
      return SummaryLine.of(document, labels: [("board", "board-\(number % 3)")])
    }
  }
}
