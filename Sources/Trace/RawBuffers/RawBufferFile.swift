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
      try Self.refuseCopies(folder, map)
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

  /// The header of a page and some of its events, in bytes.
  private static let pageHead = 512

  /// Two CPUs' first pages have never the same time and the same events.
  private static func refuseCopies(
    _ folder: RawBufferFolder, _ map: borrowing MappedFile
  ) throws(TraceError) {
    let bytes = map.bytes
    var first: [[UInt8]: RawBufferFolder.Dump] = [:]
    for (dump, part) in zip(folder.dumps, map.parts) where part.count >= pageHead {
      let head = bytes.slice(at: part.lowerBound, count: pageHead)?.copied() ?? []
      // An empty page has a time and no more.
      guard head.dropFirst(16).contains(where: { $0 != 0 }) else { continue }
      if let other = first.updateValue(dump, forKey: head) {
        throw TraceError(
          .isCorrupt(
            part: "copy of the ring buffers",
            reason:
              "\(dump.path) begins as \(other.path) does, so one of them is not that CPU's; copy "
              + "them again"))
      }
    }
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
