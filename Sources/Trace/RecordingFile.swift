import Bytes

/// A recording of any kind that can be read, opened by its first bytes.
public final class RecordingFile {
  /// One of them is there.
  private var perfData: PerfDataFile?
  private var traceDat: TraceDatFile?

  /// See ``PerfDataFile/recording``.
  public private(set) var recording: Recording
  /// Known after ``readEvents(_:)``.
  public private(set) var losses = Losses()
  /// Time of the first and of the last event of each pCPU; known after ``readEvents(_:)``.
  public private(set) var firstTimeByCPU: [Int32: UInt64] = [:]
  public private(set) var lastTimeByCPU: [Int32: UInt64] = [:]

  public init(path: String) throws(TraceError) {
    let start = try Self.start(of: path)
    if start.starts(with: TraceDatHeader.magic) {
      let file = try TraceDatFile(path: path)
      recording = file.recording
      traceDat = consume file
    } else if PerfHeader.magics.contains(where: { start.starts(with: $0) }) {
      let file = try PerfDataFile(path: path)
      recording = file.recording
      perfData = consume file
    } else {
      throw TraceError(start.isEmpty ? .isEmpty : .isUnknownFormat, path: path)
    }
  }

  /// The first bytes, which tell the format.
  private static func start(of path: String) throws(TraceError) -> [UInt8] {
    do throws(MappedFile.Failure) {
      let file = try MappedFile(path: path)
      return file.bytes.extracting(first: 16).copied()
    } catch {
      throw TraceError(TraceError.Code(error), path: path)
    }
  }

  /// Delivers all events in time order, from the first, as often as it is called.
  public func readEvents(_ body: (borrowing Event) -> Void) throws(TraceError) {
    if perfData != nil {
      try perfData?.readEvents(body)
      if let recording = perfData?.recording { self.recording = recording }
      losses = perfData?.losses ?? Losses()
      firstTimeByCPU = perfData?.firstTimeByCPU ?? [:]
      lastTimeByCPU = perfData?.lastTimeByCPU ?? [:]
    } else {
      try traceDat?.readEvents(body)
      if let recording = traceDat?.recording { self.recording = recording }
      losses = traceDat?.losses ?? Losses()
      firstTimeByCPU = traceDat?.firstTimeByCPU ?? [:]
      lastTimeByCPU = traceDat?.lastTimeByCPU ?? [:]
    }
  }
}
