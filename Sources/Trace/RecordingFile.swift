public import Bytes

/// A recording of any kind that can be read, opened by its first bytes.
public final class RecordingFile {
  // One of them is there.
  private var perfData: PerfDataFile?
  private var traceDat: TraceDatFile?
  private var text: FtraceTextFile?
  private var rawBuffers: RawBufferFile?
  private var textStream: FtraceTextStream?
  private let watch: StreamWatch?

  /// Bytes that a packed recording may unpack to, in memory.
  static let unpackedLimit: UInt64 = 4 << 30

  /// ``readEvents(_:)`` can be called more than once: false for a pipe.
  public let canReread: Bool
  /// See ``PerfDataFile/recording``.
  public private(set) var recording: Recording
  /// Known after ``readEvents(_:)``.
  public private(set) var losses = Losses()
  /// Time of the first and of the last event of each pCPU (-1: of events that do not say theirs); known after
  /// ``readEvents(_:)``.
  public private(set) var firstTimeByCPU: [Int32: UInt64] = [:]
  public private(set) var lastTimeByCPU: [Int32: UInt64] = [:]

  /// A packed stream is read to its end here, and is then like a file.
  ///
  /// - Parameters:
  ///   - path: a file, packed with gzip, xz or zstd or not; a directory of `perf record --threads` or
  ///     of raw ring buffers; OUT.unfinished of a killed `ptrauth-trace record`, or its directory; "-", a FIFO
  ///     or a file of tracefs, for a stream of `perf record -o -` or of text.
  ///   - formats: where to take event formats from if the recording has none: a directory like
  ///     tracefs' `events`, or another recording of the same boot.
  ///   - watch: for a stream.
  public init(
    path: String, formats: String? = nil, watch: StreamWatch? = nil
  ) throws(TraceError) {
    let map: MappedFile
    let isStream = Self.isStream(path)
    let folder = isStream ? nil : RawBufferFolder(path)
    if !isStream, let left = UnfinishedRecording(folder?.unfinished ?? path) {
      self.watch = nil
      canReread = true
      let file = try TraceDatFile(try left.mapped(), path: left.paths[0], left: left)
      recording = file.recording
      traceDat = consume file
      return
    }
    if isStream {
      let stream = try PerfDataFile.open(stream: path, watch: watch)
      guard try Self.isPacked(stream, path) else {
        self.watch = watch
        canReread = false
        if try Self.isText(stream, path) {
          let text = FtraceTextStream(stream, watch: watch, path: path)
          recording = text.recording
          textStream = consume text
        } else {
          let file = try Self.perfData(stream, path, formats)
          recording = file.recording
          perfData = consume file
        }
        return
      }
      map = try Self.unpacked(stream, path)
    } else if Folder.isDirectory(path) {
      self.watch = nil
      canReread = true
      if let folder {
        let file = try RawBufferFile(folder, formats: formats)
        recording = file.recording
        rawBuffers = consume file
      } else {
        let file = try PerfDataFile(path: path, formats: formats)
        recording = file.recording
        perfData = consume file
      }
      return
    } else {
      map = try Self.map(path)
    }
    self.watch = nil
    canReread = true
    switch try Self.format(of: map, path) {
    case .perfData:
      let file = try Self.perfData(map, path, formats, isStream: isStream)
      recording = file.recording
      perfData = consume file
    case .traceDat:
      let file = try TraceDatFile(map, path: path)
      recording = file.recording
      traceDat = consume file
    case .text:
      let file = try FtraceTextFile(map, path: path)
      recording = file.recording
      text = consume file
    }
  }

  private static func perfData(
    _ map: consuming MappedFile, _ path: String, _ formats: String?, isStream: Bool = false
  ) throws(TraceError) -> PerfDataFile {
    do throws(TraceError) {
      var supplied: EventFormats?
      if let formats { supplied = try EventFormats(at: formats) }
      let file = try PerfDataFile(map, path: path, formats: supplied)
      guard !isStream, supplied == nil, file.needsFormats,
        let found = FormatsRecovery(file, path: path).find()
      else { return file }
      return try PerfDataFile(file: path, formats: found)
    } catch {
      guard error.path.isEmpty else { throw error }
      throw TraceError(error.code, path: path, offset: error.offset, record: error.record)
    }
  }

  private static func map(_ path: String) throws(TraceError) -> MappedFile {
    do throws(MappedFile.Failure) {
      return try MappedFile(path: path, unpackedLimit: unpackedLimit)
    } catch {
      throw TraceError(TraceError.Code(error), path: path)
    }
  }

  private enum Format { case perfData, traceDat, text }

  /// Enough of the beginning to tell the format: a magic, or the first lines of a text behind its
  /// comments.
  private static let startCount = 1 << 16

  private static let elfMagic = [0x7f] + Array("ELF".utf8)

  private static func format(
    of map: borrowing MappedFile, _ path: String
  ) throws(TraceError) -> Format {
    let start = map.bytes.extracting(first: startCount).copied()
    guard !start.isEmpty else { throw TraceError(.isEmpty, path: path) }
    if start.starts(with: TraceDatHeader.magic) { return .traceDat }
    if StreamHeader.isPerfData(start) { return .perfData }
    if FtraceTextFile.looksLikeFtraceText(start) { return .text }
    if QEMULog.isLog(map.bytes) { throw TraceError(.isInstructionLog, path: path) }
    if start.starts(with: elfMagic) { throw TraceError(.isELF, path: path) }
    if let known = ForeignText(start)?.code {
      throw TraceError(known == .isReport && path == "-" ? .isReportInStream : known, path: path)
    }
    if RawBufferFolder.isDump(path) { throw TraceError(.isRawBuffer, path: path) }
    if PartFiles.isPart(path) { throw TraceError(.isPartOfDirectory, path: path) }
    throw TraceError(.isUnknownFormat, path: path)
  }

  /// The file begins like a recording of some format.
  static func isRecording(_ path: String) -> Bool {
    guard let map = try? MappedFile(headOf: path, limit: 4 << 20) else { return false }
    return (try? format(of: map, path)) != nil
  }

  /// Delivers all events in time order, from the first; as often as it is called if ``canReread``.
  ///
  /// - Parameters:
  ///   - jobs: threads that may be used: with more than one the events of a file are read on another while
  ///     `body`, on this one, is busy with those before them. They and their order are the same.
  ///   - observer: is told of what happens meanwhile if this is a stream.
  ///   - instructions: takes what samples of a perf.data say about executed instructions.
  public func readEvents(
    jobs: Int = 1, observer: StreamObserver? = nil,
    instructions: ((borrowing InstructionSample) -> Void)? = nil,
    _ body: (borrowing Event) -> Void
  ) throws(TraceError) {
    if let observer { watch?.drained = { observer.drained(StreamWatch.now) } }
    defer { watch?.drained = {} }
    if textStream != nil {
      try textStream?.readEvents(observer, body)
      take(textStream?.recording, textStream?.losses)
      firstTimeByCPU = textStream?.firstTimeByCPU ?? [:]
      lastTimeByCPU = textStream?.lastTimeByCPU ?? [:]
    }
    try readPerfData(jobs: jobs, instructions, body)
    try read(traceDat, jobs, body)
    try read(text, jobs, body)
    try read(rawBuffers, jobs, body)
    if MappedRanges.hasShrunk { throw TraceError(.hasShrunk, path: recording.path) }
  }

  private func readPerfData(
    jobs: Int, _ instructions: ((borrowing InstructionSample) -> Void)?,
    _ body: (borrowing Event) -> Void
  ) throws(TraceError) {
    guard perfData != nil else { return }
    // Samples of instructions come between the events, and on the same thread.
    if jobs > 1, canReread, instructions == nil {
      switch perfData {
      case .some(let perfData): return try read(perfData.files, jobs, body)
      case .none: return
      }
    }
    try perfData?.readEvents(instructions: instructions, body)
    take(perfData?.recording, perfData?.losses)
    firstTimeByCPU = perfData?.firstTimeByCPU ?? [:]
    lastTimeByCPU = perfData?.lastTimeByCPU ?? [:]
  }

  private func take(_ recording: Recording?, _ losses: Losses?) {
    if let recording { self.recording = recording }
    self.losses = losses ?? Losses()
  }

  private func read<Source: RecordingSource & ~Copyable>(
    _ source: borrowing Source?, _ jobs: Int, _ body: (borrowing Event) -> Void
  ) throws(TraceError) {
    switch source {
    case .some(let source): try read(source, jobs, body)
    case .none: break
    }
  }

  private func read<Source: RecordingSource & ~Copyable>(
    _ source: borrowing Source, _ jobs: Int, _ body: (borrowing Event) -> Void
  ) throws(TraceError) {
    let result = jobs > 1 ? try source.passAhead(body) : try source.pass(body)
    recording = result.recording
    losses = result.losses
    firstTimeByCPU = result.firstTimeByCPU
    lastTimeByCPU = result.lastTimeByCPU
  }
}
