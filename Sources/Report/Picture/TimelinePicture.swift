import Ptrauth
package import Replay

/// A recording's timeline as a picture needs it: every lane in slices of time, single marks where they
/// were kept, and what is flagged. Made by ``TimelineCollector``.
public struct TimelinePicture: Sendable {
  /// One vCPU, or one pCPU.
  package struct Lane: Sendable {
    package var slices: [TimeBins.Slice]
  }

  /// In the order first seen.
  package var vcpus: [(identity: VCPUIdentity, lane: Lane)] = []
  /// By number.
  package var cpus: [(cpu: Int32, lane: Lane)] = []
  /// Nanoseconds of the recording's clock: where slice 0 begins, and how wide slices are.
  package var origin: UInt64 = 0
  package var sliceWidth: UInt64 = 1
  /// First and last time of anything in it.
  var begin: UInt64 = 0
  var end: UInt64 = 0
  var keys: [TimelineMark] = []
  /// By begin.
  package var marks: [PlacedMark] = []
  /// Where `marks` holds every mark there is.
  package var whole: [ClosedRange<UInt64>] = []
  /// Losses and findings, by time; `flagsLeftOut` more are in the slices' counts alone.
  package var flags: [PlacedMark] = []
  var flagsLeftOut: UInt64 = 0
  /// Where nothing is known of a pCPU: from before a loss to the next run there.
  package var gaps: [(cpu: Int32, begin: UInt64, end: UInt64)] = []
  /// vCPUs and pCPUs beyond those that can be drawn.
  package var lanesLeftOut = 0
}
