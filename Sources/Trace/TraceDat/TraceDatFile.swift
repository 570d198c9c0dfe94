import Bytes

/// A trace.dat of version 6 or 7, as `trace-cmd record` writes it.
///
/// Opening it reads all but the events. ``readEvents(_:)`` delivers these in time order, as often as
/// it is called.
public struct TraceDatFile: ~Copyable {
  private let file: MappedFile
  private let plan: RecordPlan
  private let set: StreamSet
  private let times: EventTimes
  /// What the ring buffer counted as lost, by pCPU.
  private let counted: [Int32: UInt64]
  /// The recording as opening the file found it.
  private let opened: Recording

  /// Complete but for the counts of the events and the warnings about them, which
  /// ``readEvents(_:)`` fills in.
  public private(set) var recording: Recording
  /// What the ring buffer says it lost; known after ``readEvents(_:)``.
  public private(set) var losses = Losses()
  /// Time of the first and of the last event of each pCPU, in nanoseconds of the recording's clock
  /// (see ``Recording/clockIsInNanoseconds``); known after ``readEvents(_:)``.
  public private(set) var firstTimeByCPU: [Int32: UInt64] = [:]
  public private(set) var lastTimeByCPU: [Int32: UInt64] = [:]

  /// Maps the file and reads its options and event formats.
  public init(path: String) throws(TraceError) {
    let map: MappedFile
    do throws(MappedFile.Failure) {
      map = try MappedFile(path: path)
    } catch {
      throw TraceError(TraceError.Code(error), path: path)
    }
    let reading = try Self.reading(of: map, path: path)
    plan = reading.plan
    set = reading.set
    times = reading.times
    counted = reading.counted
    opened = reading.recording
    recording = reading.recording
    file = map
  }

  private static func reading(
    of map: borrowing MappedFile, path: String
  ) throws(TraceError) -> TraceDatReading {
    do throws(TraceError) {
      return try TraceDatReading(map.bytes, path: path)
    } catch {
      throw TraceError(error.code, path: path, offset: error.offset, record: error.record)
    }
  }

  /// Delivers all events in time order, from the first, and then brings ``recording`` and
  /// ``losses`` up to date. What cannot be read is said in the recording's warnings.
  public mutating func readEvents(_ body: (borrowing Event) -> Void) throws(TraceError) {
    var pass = MergePass(plan, times)
    var streams = set.streams(file.bytes)
    var slots = try set.slots()
    pass.run(file.bytes, &streams, &slots, body)
    var result = opened
    result.recordedEvents = pass.recordedEvents
    for stream in streams {
      guard let damage = stream.damage else { continue }
      if damage.isEnd { result.isIncomplete = true }
      result.warnings.append(damage.sentence(cpu: stream.cpu))
    }
    result.warnings += pass.doubts.warnings
    losses = pass.losses(counted)
    recording = result
    firstTimeByCPU = pass.span.firstByCPU
    lastTimeByCPU = pass.span.lastByCPU
  }
}
