import Bytes

/// The events of a recording of one format, which stay where they are: any thread may read them.
protocol RecordingSource: ~Copyable, Sendable {
  /// Delivers all events in time order, from the first, as often as it is called.
  borrowing func pass(_ body: (borrowing Event) -> Void) throws(TraceError) -> PassResult
}

/// An open recording: what it says about itself, brought up to date by the last pass over its events.
protocol OpenRecording: ~Copyable {
  /// Complete after opening, except counts and warnings of reading.
  var recording: Recording { get set }
  var losses: Losses { get set }
  var firstTimeByCPU: [Int32: UInt64] { get set }
  var lastTimeByCPU: [Int32: UInt64] { get set }
}

extension OpenRecording where Self: ~Copyable {
  mutating func take(_ result: PassResult) {
    recording = result.recording
    losses = result.losses
    firstTimeByCPU = result.firstTimeByCPU
    lastTimeByCPU = result.lastTimeByCPU
  }
}

/// What one pass over all events of a recording leaves.
struct PassResult: Sendable {
  var recording: Recording
  var losses = Losses()
  /// Time of the first and of the last event of each pCPU.
  var firstTimeByCPU: [Int32: UInt64] = [:]
  var lastTimeByCPU: [Int32: UInt64] = [:]
}

extension RecordingSource where Self: ~Copyable {
  /// As ``pass(_:)``, but that the events are read on a thread of their own while `body`, on this one, is busy with
  /// those before them.
  borrowing func passAhead(
    _ body: (borrowing Event) -> Void
  ) throws(TraceError) -> PassResult {
    let result = SharedValue<Result<PassResult, TraceError>?>(nil)
    let hasThread = Pipeline.run(blank: Event()) { writer in
      let outcome: Result<PassResult, TraceError>
      do throws(TraceError) {
        outcome = .success(try pass { event in writer.next { $0.take(event) } })
      } catch {
        outcome = .failure(error)
      }
      result.withLock { $0 = outcome }
    } consume: { events in
      for index in events.indices { body(events[index]) }
    }
    guard hasThread, let outcome = result.withLock({ $0 }) else { return try pass(body) }
    return try outcome.get()
  }
}

extension PerfDataFiles: RecordingSource {}
extension TraceDatFile: RecordingSource {}
extension RawBufferFile: RecordingSource {}
extension FtraceTextFile: RecordingSource {}

extension PerfDataFile: OpenRecording {}
extension TraceDatFile: OpenRecording {}
extension RawBufferFile: OpenRecording {}
extension FtraceTextFile: OpenRecording {}

extension Recording {
  /// The file on disk is packed.
  mutating func note(_ compression: CompressionFormat?) {
    if let compression { format += ", packed with \(compression.rawValue)" }
  }
}
