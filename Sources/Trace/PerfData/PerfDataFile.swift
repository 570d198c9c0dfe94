import Bytes

/// A perf.data, as `perf record` writes it: a file, a stream (pipe mode) from a file or from standard
/// input, or a directory (`--threads`, `--kcore`); of either byte order, and packed with gzip, xz or
/// zstd. The header decides which.
///
/// Opening it reads all but the events. ``readEvents(_:)`` delivers these in time order, as often as
/// it is called; those of a stream that is not a file once (``canReread``).
public struct PerfDataFile: ~Copyable {
  /// The files, in one; empty for a stream that is not a file.
  let map: MappedFile
  /// A stream behind its head, until it is read.
  private var stream: ChunkedInput?
  let parts: Parts
  /// Names of the files of a directory.
  private let names: [String]

  /// ``readEvents(_:)`` can be called more than once: false for a pipe.
  public let canReread: Bool
  /// Complete but for the counts of the events and the warnings about them, which
  /// ``readEvents(_:)`` fills in.
  public private(set) var recording: Recording
  /// What the recorder says it lost; known after ``readEvents(_:)``.
  public private(set) var losses = Losses()
  /// Time of the first and of the last sample of each pCPU, in nanoseconds of the recording's clock;
  /// known after ``readEvents(_:)``.
  public private(set) var firstTimeByCPU: [Int32: UInt64] = [:]
  public private(set) var lastTimeByCPU: [Int32: UInt64] = [:]

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
    parts = try Self.parts(of: map, path: path, formats: formats)
    self.names = names
    recording = parts.recording
    recording.note(map.compression)
    stream = nil
    canReread = true
    self.map = map
  }

  /// Of a stream that is open.
  init(
    stream: consuming ByteStream, path: String, formats: EventFormats?
  ) throws(TraceError) {
    var input = ChunkedInput(stream)
    let head = try Self.head(of: &input)
    parts = try Parts(head, records: nil, path: path, formats: formats)
    names = []
    recording = parts.recording
    self.stream = consume input
    canReread = false
    map = MappedFile()
  }

  /// The event formats that the recording itself has.
  var formats: [EventFormat] { parts.formats }

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
    let hasRounds = !parts.isBackward && names.count <= 1
    var pass = ReadPass(
      parts.plan, rounds: hasRounds ? .count : .ignored, sideBand: parts.sideBand,
      instructions: instructions)
    var result = parts.recording
    result.format = recording.format
    if !canReread {
      guard var input = stream.take() else { throw TraceError(.cannotReread, path: result.path) }
      var walk = ChunkedWalk(parts.plan)
      let stop = walk.run(RawSpan(), &input, &pass, body)
      result.byteCount = input.offset
      if let stop { note(stop, in: &result, file: nil) }
    } else if names.count > 1 {
      var merge = PartsMerge(parts.records, wantsInstructions: instructions != nil)
      for (part, stop) in merge.run(map.bytes, &pass, body) {
        var stop = stop
        stop.offset -= UInt64(map.parts[part].lowerBound)
        note(stop, in: &result, file: names[part])
      }
    } else if let part = parts.records.first {
      if let stop = read(part, &pass, body) { note(stop, in: &result, file: nil) }
    }
    for (number, source) in parts.plan.sources.enumerated() where source.recorded >= 0 {
      result.recordedEvents[source.recorded].count += pass.counts[number]
    }
    result.warnings += parts.plan.complaints.sentences(result.recordedEvents)
    if result.kernelText == nil { result.kernelText = pass.sideBand.kernelText }
    if result.kernelBuildID == nil { result.kernelBuildID = pass.sideBand.kernelBuildID }
    result.threadNames = pass.sideBand.threadNames
    result.instructionGaps = pass.sideBand.instructionGaps
    result.warnings += pass.doubts.warnings
    if pass.doubts.areDamage { result.noteDamage() }
    recording = result
    losses = pass.losses
    firstTimeByCPU = pass.span.firstByCPU
    lastTimeByCPU = pass.span.lastByCPU
  }

  /// After so many bytes of a file the pages that were read are given back.
  private static let stride = 64 << 20

  /// One file of records.
  private func read(
    _ part: Range<Int>, _ pass: inout ReadPass, _ body: ReadPass.Body
  ) -> WalkStop? {
    let file = map.bytes
    if parts.plan.isSwapped {
      var input = ChunkedInput(from: part.lowerBound, to: part.upperBound)
      var walk = ChunkedWalk(parts.plan)
      return walk.run(file, &input, &pass, body)
    }
    var walk = RecordWalk(part)
    var chunks = RecordChunks()
    while walk.offset < part.upperBound, walk.stop == nil {
      walk.advance(to: walk.offset + Self.stride, file, &chunks, &pass, body)
      map.giveBackPages()
    }
    pass.finish(file, chunks, body)
    return walk.stop
  }

  private func note(_ stop: WalkStop, in recording: inout Recording, file: String?) {
    recording.isIncomplete = true
    recording.warnings.append(
      "the data \(file.map { "of \($0) " } ?? "")cannot be read beyond byte \(stop.offset) (record "
        + "\(stop.record)): \(stop.reason); \(stop.rest) bytes are not used")
    if stop.isDamage { recording.noteDamage() }
  }
}
