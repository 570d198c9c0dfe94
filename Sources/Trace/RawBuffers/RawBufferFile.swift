import Bytes

/// A directory of raw ring buffers, as a shell in tracefs copies them: one dump of `trace_pipe_raw` a
/// CPU, and event formats beside. What a trace.dat holds, without its container.
///
/// Opening it reads all but the events. ``readEvents(_:)`` delivers these in time order, as often as
/// it is called.
public struct RawBufferFile: ~Copyable, Sendable {
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

  /// - Parameter formats: where event formats are; nil: `events` or `formats` beside the dumps.
  init(_ folder: RawBufferFolder, formats: String?) throws(TraceError) {
    let map: MappedFile
    do throws(MappedFile.Failure) {
      map = try MappedFile(
        paths: folder.dumps.map(\.path), unpackedLimit: RecordingFile.unpackedLimit)
    } catch {
      throw TraceError(TraceError.Code(error), path: folder.path)
    }
    do throws(TraceError) {
      var reading = try BufferReading(
        raw: folder, parts: map.parts, fileSize: UInt64(map.byteCount), formats: formats)
      reading.recording.note(map.compression)
      self.reading = reading
    } catch {
      guard error.path.isEmpty else { throw error }
      throw TraceError(error.code, path: folder.path)
    }
    recording = reading.recording
    file = map
  }

  /// Delivers all events in time order, from the first, and then brings ``recording`` and
  /// ``losses`` up to date. What cannot be read is said in the recording's warnings.
  public mutating func readEvents(_ body: (borrowing Event) -> Void) throws(TraceError) {
    take(try pass(body))
  }

  func pass(_ body: (borrowing Event) -> Void) throws(TraceError) -> PassResult {
    try reading.read(file, body)
  }
}
