import Bytes

/// A recording of any kind that can be read, opened by its first bytes.
public final class RecordingFile {
  // One of them is there.
  private var perfData: PerfDataFile?
  private var traceDat: TraceDatFile?
  private var text: FtraceTextFile?

  /// See ``PerfDataFile/recording``.
  public private(set) var recording: Recording
  /// Known after ``readEvents(_:)``.
  public private(set) var losses = Losses()
  /// Time of the first and of the last event of each pCPU; known after ``readEvents(_:)``.
  public private(set) var firstTimeByCPU: [Int32: UInt64] = [:]
  public private(set) var lastTimeByCPU: [Int32: UInt64] = [:]

  /// ``readEvents(_:)`` can be called more than once: false for a pipe.
  public let canReread: Bool

  /// - Parameters:
  ///   - path: a file; also a directory of perf, a FIFO, or "-", standard input, with a stream of perf.
  ///   - formats: where to take event formats from for a perf.data without, see ``PerfDataFile``.
  public init(path: String, formats: String? = nil) throws(TraceError) {
    if Self.onlyPerfCanBe(path) {
      let file = try PerfDataFile(path: path, formats: formats)
      recording = file.recording
      canReread = file.canReread
      perfData = consume file
      return
    }
    canReread = true
    let start = try Self.start(of: path)
    if start.starts(with: TraceDatHeader.magic) {
      let file = try TraceDatFile(path: path)
      recording = file.recording
      traceDat = consume file
    } else if StreamHeader.magics.contains(where: { start.starts(with: $0) })
      || CompressionFormat(head: start) != nil
    {
      let file = try PerfDataFile(path: path, formats: formats)
      recording = file.recording
      perfData = consume file
    } else if FtraceTextFile.looksLikeFtraceText(start) {
      let file = try FtraceTextFile(path: path)
      recording = file.recording
      text = consume file
    } else {
      throw TraceError(start.isEmpty ? .isEmpty : .isUnknownFormat, path: path)
    }
  }

  /// Streams and directories.
  private static func onlyPerfCanBe(_ path: String) -> Bool {
    ByteStream.isStream(path) || Folder.isDirectory(path)
  }

  /// Enough of the beginning to tell the format: a magic, or the first lines of a text behind its
  /// comments.
  private static let startCount = 1 << 16

  private static func start(of path: String) throws(TraceError) -> [UInt8] {
    do throws(MappedFile.Failure) {
      let file = try MappedFile(path: path)
      return file.bytes.extracting(first: startCount).copied()
    } catch {
      throw TraceError(TraceError.Code(error), path: path)
    }
  }

  /// Delivers all events in time order, from the first, as often as it is called; those of a pipe once.
  public func readEvents(_ body: (borrowing Event) -> Void) throws(TraceError) {
    try read(&perfData, body)
    try read(&traceDat, body)
    try read(&text, body)
  }

  private func read<Source: RecordingSource & ~Copyable>(
    _ source: inout Source?, _ body: (borrowing Event) -> Void
  ) throws(TraceError) {
    guard source != nil else { return }
    try source?.readEvents(body)
    if let recording = source?.recording { self.recording = recording }
    losses = source?.losses ?? Losses()
    firstTimeByCPU = source?.firstTimeByCPU ?? [:]
    lastTimeByCPU = source?.lastTimeByCPU ?? [:]
  }
}
