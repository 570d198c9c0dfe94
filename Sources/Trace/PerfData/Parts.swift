import Bytes

/// All of a file but its events.
struct Parts {
  var walk: RecordWalk
  var plan: SamplePlan
  var recording: Recording

  /// Records looked at for the kernel's map before the first sample; perf writes it first.
  private static let prologueLimit = 1 << 16

  init(_ bytes: RawSpan, path: String) throws(TraceError) {
    let header = try PerfHeader(bytes)
    let attributes = try PerfAttribute.table(header, in: bytes)
    let fileEnd = UInt64(bytes.byteCount)
    guard header.data.offset <= fileEnd, let start = Int(exactly: header.data.offset) else {
      throw TraceError(.isCut(part: "data", needed: header.data.size), offset: header.data.offset)
    }
    var warnings: [String] = []
    var isIncomplete = false
    var features = FeatureSections()
    var end = bytes.byteCount
    if header.data.size == 0 {
      isIncomplete = true
      warnings.append(
        "the recorder was killed before it finished the file; what it had written is read")
    } else if let dataEnd = header.data.end, dataEnd <= fileEnd, let known = Int(exactly: dataEnd) {
      end = known
      features = FeatureSections(header, in: bytes, after: dataEnd)
      isIncomplete = features.isCut
    } else {
      isIncomplete = true
      let (missing, overflow) = header.data.size.subtractingReportingOverflow(
        fileEnd - header.data.offset)
      warnings.append(
        "the file is cut: \(overflow ? header.data.size : missing) bytes of its data are missing, "
          + "and all that follows them")
    }
    if features.isDirectoryMode { throw TraceError(.isPartOfDirectory) }
    plan = try SamplePlan(attributes, features)
    walk = RecordWalk(start: start, end: end)

    let clocks = Set(attributes.filter { !$0.isDummy }.map(\.clock))
    recording = Recording(
      path: path, format: "perf.data file mode", byteCount: fileEnd,
      clock: clocks.count == 1 ? clocks.first ?? "perf" : attributes[0].clock)
    if clocks.count > 1 {
      warnings.append(
        "the events were recorded with different clocks (\(clocks.sorted().joined(separator: ", "))"
          + "), so their order is not certain")
    }
    recording.osRelease = features.osRelease
    recording.architecture = features.architecture
    recording.cpusOnline = features.cpusOnline
    recording.commandLine = features.commandLine
    recording.recordedEvents = plan.recorded
    recording.isIncomplete = isIncomplete
    recording.warnings = warnings + features.warnings + plan.warnings
    let sideBand = Self.prologue(bytes, walk)
    recording.kernelText = sideBand.kernelText
    recording.kernelBuildID = features.kernelBuildID ?? sideBand.kernelBuildID
  }

  /// What the records before the first sample say.
  private static func prologue(_ bytes: RawSpan, _ walk: RecordWalk) -> SideBand {
    var sideBand = SideBand()
    var offset = walk.start
    for _ in 0..<prologueLimit {
      guard offset < walk.end, let type = bytes.u32(at: offset), type != RecordKind.sample,
        type != RecordKind.compressed, type != RecordKind.compressed2,
        type != RecordKind.tracingData, type != RecordKind.auxTrace,
        let misc = bytes.u16(at: offset + 4), let size = bytes.u16(at: offset + 6),
        size >= RecordHeader.byteCount, let record = bytes.slice(at: offset, count: Int(size))
      else { break }
      sideBand.take(record, type: type, misc: misc)
      if sideBand.kernelText != nil { break }
      offset += Int(size)
    }
    return sideBand
  }
}
