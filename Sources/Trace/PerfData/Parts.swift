import Bytes

/// All of a recording but its events.
struct Parts {
  /// Where the records lie in the mapped bytes, by file; empty for a stream.
  var records: [Range<Int>]
  var plan: SamplePlan
  var recording: Recording
  /// The event formats that the recording itself has.
  var formats: [EventFormat]
  /// What came before the first event of a stream, which does not come again.
  var sideBand = SideBand()
  /// Nothing is in order before the end.
  var isBackward: Bool

  /// Records looked at for the kernel's map before the first sample; perf writes it first.
  private static let prologueLimit = 1 << 16

  /// File mode, and directories. `bytes`: the files as they are mapped, each at its place in `files`.
  init(
    _ bytes: RawSpan, files: [Range<Int>], path: String, isSwapped: Bool, formats: EventFormats?
  ) throws(TraceError) {
    let main = bytes.extracting(first: files.first?.upperBound ?? 0)
    let header = try PerfHeader(main, isSwapped: isSwapped)
    let attributes = try PerfAttribute.table(header, in: main, isSwapped: isSwapped)
    let fileEnd = UInt64(main.byteCount)
    guard header.data.offset <= fileEnd, let start = Int(exactly: header.data.offset) else {
      throw TraceError(.isCut(part: "data", needed: header.data.size), offset: header.data.offset)
    }
    var warnings: [String] = []
    var isIncomplete = false
    var features = FeatureSections()
    var end = main.byteCount
    var last = fileEnd
    // A directory's samples lie in the other files: its own data may be empty, and is not if the
    // recorder came to its end.
    if header.data.size == 0 {
      isIncomplete = true
      warnings.append(
        "the recorder was killed before it finished the file; what it had written is read")
    } else if let dataEnd = header.data.end, dataEnd <= fileEnd, let known = Int(exactly: dataEnd) {
      end = known
      features = FeatureSections(header, in: main, after: dataEnd, isSwapped: isSwapped)
      isIncomplete = features.isCut
      last = max(features.end, header.attributes.end ?? 0)
    } else {
      isIncomplete = true
      let (missing, overflow) = header.data.size.subtractingReportingOverflow(
        fileEnd - header.data.offset)
      warnings.append(
        "the file is cut: \(overflow ? header.data.size : missing) bytes of its data are missing, "
          + "and all that follows them")
    }
    if features.isDirectoryMode || header.hasFeature(FeatureSections.directoryFormat),
      files.count == 1
    {
      isIncomplete = true
      warnings.append(
        "the recording was made with `perf record --threads`, and its files with the events "
          + "(data.0, data.1 ...) are missing; copy the whole directory")
    }
    records = [start..<end] + files.dropFirst()
    self.formats = features.tracingData?.formats ?? []
    plan = try SamplePlan(attributes, features, isSwapped: isSwapped, supplied: formats)
    isBackward = attributes.contains(where: \.isBackward)
    recording = Self.recording(
      path, files.count > 1 ? "directory" : "file mode", attributes, features, plan, isSwapped)
    recording.byteCount = files.reduce(0) { $0 + UInt64($1.count) }
    recording.isIncomplete = isIncomplete
    recording.warnings = warnings + recording.warnings
    if !features.isCut, last < fileEnd { recording.note(more: fileEnd - last, at: last) }
    let sideBand = Self.prologue(main, start..<end, isSwapped, throughSamples: isBackward)
    recording.kernelText = sideBand.kernelText
    recording.kernelBuildID = features.kernelBuildID ?? sideBand.kernelBuildID
  }

  /// Pipe mode. `records`: where the stream lies in the mapped bytes, if it is mapped.
  init(
    _ head: PipeHead, records: Range<Int>?, path: String, formats: EventFormats?
  ) throws(TraceError) {
    self.records = records.map { [$0] } ?? []
    let isSwapped = head.isSwapped
    self.formats = head.features.tracingData?.formats ?? []
    plan = try SamplePlan(
      head.attributes, head.features, isSwapped: isSwapped, supplied: formats)
    isBackward = head.attributes.contains(where: \.isBackward)
    recording = Self.recording(
      path, "pipe mode", head.attributes, head.features, plan, isSwapped)
    recording.byteCount = UInt64(records?.upperBound ?? 0)
    sideBand = head.sideBand
    recording.kernelText = head.sideBand.kernelText
    recording.kernelBuildID = head.features.kernelBuildID ?? head.sideBand.kernelBuildID
  }

  private static func recording(
    _ path: String, _ mode: String, _ attributes: [PerfAttribute], _ features: FeatureSections,
    _ plan: SamplePlan, _ isSwapped: Bool
  ) -> Recording {
    let clocks = Set(attributes.filter { !$0.isDummy }.map(\.clock))
    var recording = Recording(
      path: path, format: "perf.data \(mode)" + (isSwapped ? ", big-endian" : ""), byteCount: 0,
      clock: clocks.count == 1 ? clocks.first ?? "perf" : attributes.first?.clock ?? "perf")
    if clocks.count > 1 {
      recording.warnings.append(
        "the events were recorded with different clocks (\(clocks.sorted().joined(separator: ", "))"
          + "), so their order is not certain")
    }
    recording.osRelease = features.osRelease
    recording.architecture = features.architecture
    recording.cpusOnline = features.cpusOnline
    recording.commandLine = features.commandLine
    recording.recordedEvents = plan.recorded
    recording.omissions = Omissions(
      attributes, names: plan.names, cpusOnline: features.cpusOnline,
      commandLine: features.commandLine)
    recording.instructionSources = plan.instructionSources
    recording.warnings += features.warnings + plan.warnings
    return recording
  }

  /// What the records before the first sample say.
  private static func prologue(
    _ bytes: RawSpan, _ place: Range<Int>, _ isSwapped: Bool, throughSamples: Bool
  ) -> SideBand {
    var sideBand = SideBand()
    var offset = place.lowerBound
    for _ in 0..<prologueLimit {
      guard offset < place.upperBound, let type = bytes.u32(at: offset, swapped: isSwapped),
        type != RecordKind.sample || throughSamples,
        type != RecordKind.compressed, type != RecordKind.compressed2,
        type != RecordKind.tracingData, type != RecordKind.auxTrace,
        let misc = bytes.u16(at: offset + 4, swapped: isSwapped),
        let size = bytes.u16(at: offset + 6, swapped: isSwapped),
        size >= RecordHeader.byteCount, let record = bytes.slice(at: offset, count: Int(size))
      else { break }
      sideBand.take(record, type: type, misc: misc, isSwapped: isSwapped)
      if sideBand.kernelText != nil { break }
      offset += Int(size)
    }
    return sideBand
  }
}
