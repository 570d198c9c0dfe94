import Bytes

/// A perf.data file, as `perf record` writes it (file mode).
///
/// Opening it reads all but the events. ``readEvents(_:)`` delivers these in time order, as often as
/// it is called.
public struct PerfDataFile: ~Copyable {
  private let file: MappedFile
  private let walk: RecordWalk
  private let plan: SamplePlan
  /// The recording as opening the file found it.
  private let opened: Recording

  /// Complete but for the counts of the events and the warnings about them, which
  /// ``readEvents(_:)`` fills in.
  public private(set) var recording: Recording
  /// What the recorder says it lost; known after ``readEvents(_:)``.
  public private(set) var losses = Losses()
  /// Time of the first and of the last sample of each pCPU, in nanoseconds of the recording's clock;
  /// known after ``readEvents(_:)``.
  public private(set) var firstTimeByCPU: [Int32: UInt64] = [:]
  public private(set) var lastTimeByCPU: [Int32: UInt64] = [:]

  /// Maps the file and reads its header, events, feature sections and event formats.
  public init(path: String) throws(TraceError) {
    let map: MappedFile
    do throws(MappedFile.Failure) {
      map = try MappedFile(path: path)
    } catch {
      throw TraceError(TraceError.Code(error), path: path)
    }
    let parts = try Self.parts(of: map, path: path)
    walk = parts.walk
    plan = parts.plan
    opened = parts.recording
    recording = parts.recording
    file = map
  }

  private static func parts(
    of map: borrowing MappedFile, path: String
  ) throws(TraceError) -> Parts {
    do throws(TraceError) {
      return try Parts(map.bytes, path: path)
    } catch {
      throw TraceError(error.code, path: path, offset: error.offset, record: error.record)
    }
  }

  /// Delivers all events in time order, from the first, and then brings ``recording`` and
  /// ``losses`` up to date. What cannot be read is said in the recording's warnings.
  public mutating func readEvents(_ body: (borrowing Event) -> Void) throws(TraceError) {
    var pass = ReadPass(plan)
    let stop = walk.run(file.bytes, &pass, body)
    var result = opened
    for (number, source) in plan.sources.enumerated() where source.recorded >= 0 {
      result.recordedEvents[source.recorded].count += pass.counts[number]
    }
    if result.kernelText == nil { result.kernelText = pass.sideBand.kernelText }
    if result.kernelBuildID == nil { result.kernelBuildID = pass.sideBand.kernelBuildID }
    if let stop {
      let rest = UInt64(walk.end) - stop.offset
      result.isIncomplete = true
      result.warnings.append(
        "the data cannot be read beyond byte \(stop.offset) (record \(stop.record)): "
          + "\(stop.reason); \(rest) bytes are not used")
    }
    result.warnings += pass.doubts.warnings
    recording = result
    losses = pass.losses
    firstTimeByCPU = pass.span.firstByCPU
    lastTimeByCPU = pass.span.lastByCPU
  }
}
