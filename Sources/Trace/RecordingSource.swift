import Bytes

/// A recording of one format: what it says about itself, and its events.
protocol RecordingSource: ~Copyable {
  /// Complete after opening, except counts and warnings of reading.
  var recording: Recording { get }
  /// Known after ``readEvents(_:)``.
  var losses: Losses { get }
  /// Time of the first and of the last event of each pCPU; known after ``readEvents(_:)``.
  var firstTimeByCPU: [Int32: UInt64] { get }
  var lastTimeByCPU: [Int32: UInt64] { get }
  /// Delivers all events in time order, from the first, as often as it is called.
  mutating func readEvents(_ body: (borrowing Event) -> Void) throws(TraceError)
}

extension PerfDataFile: RecordingSource {}
extension TraceDatFile: RecordingSource {}
extension RawBufferFile: RecordingSource {}
extension FtraceTextFile: RecordingSource {}

extension Recording {
  /// The file on disk is packed.
  mutating func note(_ compression: CompressionFormat?) {
    if let compression { format += ", packed with \(compression.rawValue)" }
  }
}
