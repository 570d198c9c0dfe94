import Bytes

extension PerfDataFile {
  /// The file begins as a perf.data does.
  public static func isOne(_ path: String) -> Bool {
    !ByteStream.isStream(path)
      && Folder.head(of: path, count: StreamHeader.byteCount).map(StreamHeader.isPerfData) ?? false
  }

  /// Maps the file or the files at `path`; `names`: which these are.
  static func map(_ path: String, names: inout [String]) throws(TraceError) -> MappedFile {
    do throws(MappedFile.Failure) {
      if Folder.isDirectory(path) {
        guard let files = PartFiles.list(path) else { throw .isDirectory }
        names = files
        if files.count > 1 { return try MappedFile(paths: files) }
        return try MappedFile(path: files[0], unpackedLimit: RecordingFile.unpackedLimit)
      }
    } catch {
      throw TraceError(TraceError.Code(error), path: path)
    }
    let map: MappedFile
    do throws(MappedFile.Failure) {
      map = try MappedFile(path: path, unpackedLimit: RecordingFile.unpackedLimit)
    } catch {
      throw TraceError(TraceError.Code(error), path: path)
    }
    return try whole(map, path, names: &names)
  }

  /// `map`: the file at `path`; with the others of its directory if it is the main one of several.
  static func whole(
    _ map: consuming MappedFile, _ path: String, names: inout [String]
  ) throws(TraceError) -> MappedFile {
    names = [path]
    do throws(MappedFile.Failure) {
      // The main file of a directory: its events lie in the files beside it.
      if isOfDirectory(map), path == "data" || path.hasSuffix("/data"),
        let files = PartFiles.list(PartFiles.directory(of: path)), files.count > 1
      {
        names = files
        return try MappedFile(paths: files)
      }
      return map
    } catch {
      throw TraceError(TraceError.Code(error), path: path)
    }
  }

  private static func isOfDirectory(_ map: borrowing MappedFile) -> Bool {
    let bytes = map.bytes
    guard let start = try? StreamHeader(bytes), !start.isPipe,
      let header = try? PerfHeader(bytes, isSwapped: start.isSwapped)
    else { return false }
    return header.hasFeature(FeatureSections.directoryFormat)
  }

  /// What mapped files say, in either mode.
  static func parts(
    of map: borrowing MappedFile, path: String, formats: EventFormats?
  ) throws(TraceError) -> Parts {
    let bytes = map.bytes
    let files = map.parts
    let end = files.first?.upperBound ?? 0
    let start = try StreamHeader(bytes.extracting(first: end))
    guard start.isPipe else {
      if start.isSwapped, files.count > 1 { throw TraceError(.isSwappedDirectory) }
      return try Parts(
        bytes, files: files, path: path, isSwapped: start.isSwapped, formats: formats)
    }
    var head = PipeHead(isSwapped: start.isSwapped)
    var input = ChunkedInput(from: StreamHeader.byteCount, to: end)
    try head.read(&input, bytes)
    return try Parts(head, records: StreamHeader.byteCount..<end, path: path, formats: formats)
  }

  static func open(
    stream path: String, watch: StreamWatch? = nil
  ) throws(TraceError) -> ByteStream {
    if path == "-", ByteStream.standardInputIsTerminal { throw TraceError(.isTerminal) }
    do throws(ByteStream.Failure) {
      return try ByteStream(path: path, watch: watch)
    } catch {
      throw TraceError(.cannotOpen(reason: SystemMessage.text(error.number)))
    }
  }

  /// Reads a stream up to its first event.
  static func head(of input: inout ChunkedInput) throws(TraceError) -> PipeHead {
    _ = input.need(StreamHeader.byteCount, RawSpan())
    if input.failure != 0 {
      throw TraceError(.cannotOpen(reason: SystemMessage.text(input.failure)))
    }
    let start = try start(input.unparsed.extracting(first: StreamHeader.byteCount))
    input.consume(StreamHeader.byteCount)
    var head = PipeHead(isSwapped: start.isSwapped)
    try head.read(&input, RawSpan())
    return head
  }
}

extension PerfDataFile {
  private static func start(_ bytes: RawSpan) throws(TraceError) -> StreamHeader {
    if let format = CompressionFormat(head: bytes.copied()) {
      throw TraceError(.isPackedStream(format.rawValue))
    }
    let start = try StreamHeader(bytes)
    guard start.isPipe else { throw TraceError(.isFileInStream) }
    return start
  }
}

extension EventFormats {
  /// From a directory of format files, or from another recording.
  init(at path: String) throws(TraceError) {
    if Folder.isDirectory(path), PartFiles.list(path) == nil {
      let events = "\(path)/events"
      try self.init(directory: Folder.isDirectory(events) ? events : path)
      return
    }
    let start = Folder.head(of: path, count: TraceDatHeader.magic.count) ?? []
    let formats =
      start == TraceDatHeader.magic
      ? try TraceDatFile(path: path).formats : try PerfDataFile(path: path).formats
    guard !formats.isEmpty else {
      throw TraceError(.hasNoFormats(reason: "this recording has none either"), path: path)
    }
    self.init(formats, path: path)
  }
}
