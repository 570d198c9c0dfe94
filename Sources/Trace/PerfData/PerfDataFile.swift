import Bytes

/// A perf.data, as `perf record` writes it: a file, a stream (pipe mode) from a file or from standard
/// input, or a directory (`--threads`, `--kcore`); of either byte order, and packed with gzip, xz or
/// zstd. The header decides which.
///
/// Opening it reads all but the events. ``readEvents(_:)`` delivers these in time order, as often as
/// it is called; those of a stream that is not a file once (``canReread``).
public struct PerfDataFile: ~Copyable {
  /// Without bytes for a stream that is not a file.
  let files: PerfDataFiles
  /// A stream behind its head, until it is read.
  private var stream: ChunkedInput?

  /// ``readEvents(_:)`` can be called more than once: false for a pipe.
  public let canReread: Bool
  /// Complete but for the counts of the events and the warnings about them, which
  /// ``readEvents(_:)`` fills in.
  public internal(set) var recording: Recording
  /// What the recorder says it lost; known after ``readEvents(_:)``.
  public internal(set) var losses = Losses()
  /// Time of the first and of the last sample of each pCPU, in nanoseconds of the recording's clock;
  /// known after ``readEvents(_:)``.
  public internal(set) var firstTimeByCPU: [Int32: UInt64] = [:]
  public internal(set) var lastTimeByCPU: [Int32: UInt64] = [:]

  /// Opens the recording and reads its header, events, feature sections and event formats.
  ///
  /// - Parameters:
  ///   - path: a file, a directory, a FIFO; "-" is standard input.
  ///   - formats: where to take event formats from if the recording has none (its recorder was
  ///     killed): a directory like tracefs' `events`, or another recording of the same boot.
  public init(path: String, formats: String? = nil) throws(TraceError) {
    var supplied: EventFormats?
    if let formats { supplied = try EventFormats(at: formats) }
    do throws(TraceError) {
      if ByteStream.isStream(path) {
        try self.init(stream: Self.open(stream: path), path: path, formats: supplied)
      } else {
        try self.init(file: path, formats: supplied)
      }
    } catch {
      guard error.path.isEmpty else { throw error }
      throw TraceError(error.code, path: path, offset: error.offset, record: error.record)
    }
  }

  init(file path: String, formats: EventFormats?) throws(TraceError) {
    var names: [String] = []
    let map = try Self.map(path, names: &names)
    try self.init(map, names: names, path: path, formats: formats)
  }

  /// A file that is mapped already.
  init(
    _ map: consuming MappedFile, path: String, formats: EventFormats?
  ) throws(TraceError) {
    var names: [String] = []
    let whole = try Self.whole(map, path, names: &names)
    try self.init(whole, names: names, path: path, formats: formats)
  }

  private init(
    _ map: consuming MappedFile, names: [String], path: String, formats: EventFormats?
  ) throws(TraceError) {
    let parts = try Self.parts(of: map, path: path, formats: formats)
    files = PerfDataFiles(map, names: names, parts)
    recording = files.recording
    stream = nil
    canReread = true
  }

  /// Of a stream that is open.
  init(
    stream: consuming ByteStream, path: String, formats: EventFormats?
  ) throws(TraceError) {
    var input = ChunkedInput(stream)
    let head = try Self.head(of: &input)
    let parts = try Parts(head, records: nil, path: path, formats: formats)
    files = PerfDataFiles(MappedFile(), names: [], parts)
    recording = files.recording
    self.stream = consume input
    canReread = false
  }

  var parts: Parts { files.parts }

  /// The event formats that the recording itself has.
  var formats: [EventFormat] { files.parts.formats }

  /// Delivers all events in time order, from the first, and then brings ``recording`` and
  /// ``losses`` up to date. What cannot be read is said in the recording's warnings.
  ///
  /// A stream can be read once; then this throws.
  public mutating func readEvents(_ body: (borrowing Event) -> Void) throws(TraceError) {
    try readEvents(instructions: nil, body)
  }

  /// - Parameter instructions: takes what samples say about executed instructions, in time order among the
  ///   events; nil: nobody asks.
  package mutating func readEvents(
    instructions: ((borrowing InstructionSample) -> Void)?, _ body: (borrowing Event) -> Void
  ) throws(TraceError) {
    guard !canReread else { return take(files.pass(instructions: instructions, body)) }
    guard var input = stream.take() else {
      throw TraceError(.cannotReread, path: recording.path)
    }
    var pass = ReadPass(parts, instructions: instructions)
    var walk = ChunkedWalk(parts.plan)
    let stop = walk.run(RawSpan(), &input, &pass, body)
    var result = parts.result(of: pass, files.recording, stop.map { [($0, nil)] } ?? [])
    result.recording.byteCount = input.offset
    take(result)
  }
}
