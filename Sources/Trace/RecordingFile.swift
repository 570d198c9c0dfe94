import Bytes

/// A recording of any kind that can be read, opened by its first bytes.
public final class RecordingFile {
  // One of them is there.
  private var perfData: PerfDataFile?
  private var traceDat: TraceDatFile?
  private var text: FtraceTextFile?

  /// ``readEvents(_:)`` can be called more than once: false for a pipe.
  public let canReread: Bool
  /// See ``PerfDataFile/recording``.
  public private(set) var recording: Recording
  /// Known after ``readEvents(_:)``.
  public private(set) var losses = Losses()
  /// Time of the first and of the last event of each pCPU; known after ``readEvents(_:)``.
  public private(set) var firstTimeByCPU: [Int32: UInt64] = [:]
  public private(set) var lastTimeByCPU: [Int32: UInt64] = [:]

  /// - Parameter path: a file; a directory of `perf record --threads`; "-" or a FIFO, for a stream of
  ///   `perf record -o -`.
  public init(path: String) throws(TraceError) {
    let format: Format = try Self.format(of: path)
    switch format {
    case .perfData:
      let file = try PerfDataFile(path: path)
      recording = file.recording
      canReread = file.canReread
      perfData = consume file
    case .traceDat:
      let file = try TraceDatFile(path: path)
      recording = file.recording
      canReread = true
      traceDat = consume file
    case .text:
      let file = try FtraceTextFile(path: path)
      recording = file.recording
      canReread = true
      text = consume file
    }
  }

  private enum Format { case perfData, traceDat, text }

  /// Enough of the beginning to tell the format: a magic, or the first lines of a text behind its
  /// comments.
  private static let startCount = 1 << 16

  private static func format(of path: String) throws(TraceError) -> Format {
    if ByteStream.isStream(path) || Folder.isDirectory(path) { return .perfData }
    let start: [UInt8]
    do throws(MappedFile.Failure) {
      let file = try MappedFile(path: path)
      start = file.bytes.extracting(first: startCount).copied()
    } catch {
      throw TraceError(TraceError.Code(error), path: path)
    }
    guard !start.isEmpty else { throw TraceError(.isEmpty, path: path) }
    if start.starts(with: TraceDatHeader.magic) { return .traceDat }
    if StreamHeader.isPerfData(start) || CompressionFormat(head: start) != nil { return .perfData }
    if FtraceTextFile.looksLikeFtraceText(start) { return .text }
    throw TraceError(.isUnknownFormat, path: path)
  }

  /// Delivers all events in time order, from the first; as often as it is called if ``canReread``.
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
