public import Bytes

/// A copy of a recording in which the values of all key slots are others, and nothing else is.
///
/// What the analysis makes of keys stays: equal values stay equal, different ones different, and zero and
/// the value of a vCPU reset stay themselves. The secret behind the mapping is random and forgotten.
public enum Redaction {
  public enum Failure: Error, Sendable {
    case recording(TraceError)
    case output(ByteSinkError)

    init(_ error: TraceError) { self = .recording(error) }
    init(_ error: ByteSinkError) { self = .output(error) }
    init(cannot reason: String, at offset: Int? = nil) {
      self = .recording(TraceError(.cannotRedact(reason: reason), offset: offset.map(UInt64.init)))
    }
  }

  /// Writes the copy; it is not to be used if this throws.
  ///
  /// - Parameters:
  ///   - input: a perf.data, trace.dat or ftrace text, not packed; or the directory of `perf record
  ///     --threads` or of raw ring buffers.
  ///   - output: opened only once all of the input turned out to be rewritable; for a directory one that does
  ///     not exist yet.
  /// - Returns: how many key values were replaced.
  public static func copy(_ input: String, to output: String) throws(Failure) -> UInt64 {
    do throws(Failure) {
      return try copy(input, to: output, KeyMasking())
    } catch {
      guard case .recording(let known) = error else { throw error }
      throw .recording(
        TraceError(known.code, path: input, offset: known.offset, record: known.record))
    }
  }

  static func copy(
    _ input: String, to output: String, _ masking: KeyMasking
  ) throws(Failure) -> UInt64 {
    if Folder.isSameFile(input, output) {
      throw Failure(cannot: "\(output) is the recording itself")
    }
    if Folder.isDirectory(input) {
      return try FolderRedaction.copy(input, to: output, masking)
    }
    if UnfinishedRecording(input) != nil {
      throw Failure(cannot: "its events lie in other files, in which record left no key value")
    }
    let map = try mapped(input)
    let bytes = map.bytes
    let start = bytes.extracting(first: 1 << 16).copied()
    if let format = CompressionFormat(head: start) {
      throw Failure(cannot: "it is packed (\(format.rawValue)); unpack it first")
    }
    // The first pass writes nothing: it finds what cannot be rewritten, and what changes its size.
    let trial = PatchedCopy(nil, masking)
    if StreamHeader.isPerfData(start) {
      let recording = try PerfDataRedaction(map, path: input)
      try recording.run(bytes, growth: 0, trial)
      let copy = PatchedCopy(try open(output), masking)
      try recording.run(bytes, growth: trial.count - bytes.byteCount, copy)
      return try finish(copy)
    }
    if start.starts(with: TraceDatHeader.magic) {
      let recording = try TraceDatRedaction(bytes)
      let sizes = try recording.run(bytes, sizes: nil, trial)
      let copy = PatchedCopy(try open(output), masking)
      _ = try recording.run(bytes, sizes: sizes, copy)
      return try finish(copy)
    }
    guard FtraceTextFile.looksLikeFtraceText(start) else {
      throw .recording(TraceError(.isUnknownFormat))
    }
    try TextRedaction.run(bytes, trial)
    let copy = PatchedCopy(try open(output), masking)
    try TextRedaction.run(bytes, copy)
    return try finish(copy)
  }

  private static func mapped(_ path: String) throws(Failure) -> MappedFile {
    let map: MappedFile
    do throws(MappedFile.Failure) {
      map = try MappedFile(path: path)
    } catch {
      throw .recording(TraceError(TraceError.Code(error)))
    }
    if map.byteCount == 0 { throw .recording(TraceError(.isEmpty)) }
    return map
  }

  private static func open(_ path: String) throws(Failure) -> ByteSink {
    do throws(ByteSinkError) { return try ByteSink(path: path) } catch { throw .output(error) }
  }

  private static func finish(_ copy: PatchedCopy) throws(Failure) -> UInt64 {
    if MappedRanges.hasShrunk { throw .recording(TraceError(.hasShrunk)) }
    try copy.finish()
    return copy.replaced
  }
}
