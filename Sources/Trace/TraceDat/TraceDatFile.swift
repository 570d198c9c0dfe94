import Bytes

/// A trace.dat of version 6 or 7, as `trace-cmd record` writes it.
///
/// Opening it reads all but the events. ``readEvents(_:)`` delivers these in time order, as often as
/// it is called.
public struct TraceDatFile: ~Copyable, Sendable {
  private let file: MappedFile
  private let reading: BufferReading

  /// Complete but for the counts of the events and the warnings about them, which
  /// ``readEvents(_:)`` fills in.
  public internal(set) var recording: Recording
  /// What the ring buffer says it lost; known after ``readEvents(_:)``.
  public internal(set) var losses = Losses()
  /// Time of the first and of the last event of each pCPU, in nanoseconds of the recording's clock
  /// (see ``Recording/clockIsInNanoseconds``); known after ``readEvents(_:)``.
  public internal(set) var firstTimeByCPU: [Int32: UInt64] = [:]
  public internal(set) var lastTimeByCPU: [Int32: UInt64] = [:]

  /// Maps the file and reads its options and event formats.
  public init(path: String) throws(TraceError) {
    let map: MappedFile
    do throws(MappedFile.Failure) {
      map = try MappedFile(path: path, unpackedLimit: RecordingFile.unpackedLimit)
    } catch {
      throw TraceError(TraceError.Code(error), path: path)
    }
    try self.init(map, path: path)
  }

  /// A file that is mapped already.
  ///
  /// - Parameter left: what a killed recorder left, all of which is mapped.
  init(
    _ map: consuming MappedFile, path: String, left: UnfinishedRecording? = nil
  ) throws(TraceError) {
    var reading = try Self.reading(of: map, path: path, left)
    reading.recording.note(map.compression)
    self.reading = reading
    recording = reading.recording
    file = map
  }

  private static func reading(
    of map: borrowing MappedFile, path: String, _ left: UnfinishedRecording?
  ) throws(TraceError) -> BufferReading {
    do throws(TraceError) {
      return try BufferReading(traceDat: map.bytes, path: path, left: left, places: map.parts)
    } catch {
      throw TraceError(error.code, path: path, offset: error.offset, record: error.record)
    }
  }

  /// The event formats that the recording itself has.
  var formats: [EventFormat] { reading.formats }

  /// Delivers all events in time order, from the first, and then brings ``recording`` and
  /// ``losses`` up to date. What cannot be read is said in the recording's warnings.
  public mutating func readEvents(_ body: (borrowing Event) -> Void) throws(TraceError) {
    take(try pass(body))
  }

  func pass(_ body: (borrowing Event) -> Void) throws(TraceError) -> PassResult {
    try reading.read(file, body)
  }
}
