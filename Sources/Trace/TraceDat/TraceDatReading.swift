import Bytes

// How the events of a trace.dat are to be read: which instances, which decoders, which clock.
extension BufferReading {
  /// - Parameters:
  ///   - left: what a killed recorder left; its files lie at `places`.
  init(
    traceDat bytes: RawSpan, path: String, left: UnfinishedRecording? = nil,
    places: [Range<Int>] = []
  ) throws(TraceError) {
    var parts = try TraceDatParts(bytes)
    if let left { parts.take(left, places: places) }
    let fileSize = UInt64(bytes.byteCount)
    let plan = RecordPlan(parts.formats.formats)
    var warnings = parts.warnings
    let choice = try InstanceChoice(parts, plan, bytes, &warnings)
    let buffers = choice.buffers
    let set = try StreamSet(buffers, parts, fileSize: fileSize)

    let clock = Self.clock(of: buffers, parts)
    var times = EventTimes(offset: parts.options.timeOffset)
    times.shift = parts.options.timeShift.flatMap { $0.isKnown ? $0 : nil }
    if clock.name == "x86-tsc" { times.scale = parts.options.timeScale }
    var counted: [Int32: UInt64] = [:]
    for buffer in buffers {
      for (cpu, count) in parts.options.counters.lost[buffer.name] ?? [:] {
        counted[cpu, default: 0].saturatingAdd(count)
      }
    }

    var format = "trace.dat v\(parts.header.version)"
    if let compression = parts.header.compression { format += ", \(compression.rawValue)" }
    if parts.header.isBigEndian { format += ", big-endian" }
    var recording = Recording(
      path: path, format: format, byteCount: fileSize, clock: clock.name)
    recording.take(clock, scale: times.scale, &warnings)
    recording.noteMissingProcesses(plan, what: "a trace.dat", &warnings)
    let uname = parts.options.uname.split(separator: " ")
    if uname.count >= 4 {
      recording.osRelease = String(uname[uname.count - 2])
      recording.architecture = uname.last.map(String.init)
    }
    let withStatistics = parts.options.counters.cpuCount
    recording.cpusOnline =
      parts.options.cpuCount ?? parts.cpuCount ?? (withStatistics > 0 ? withStatistics : nil)
    recording.kernelText = parts.kernelText
    recording.threadNames = parts.threadNames
    recording.guests = parts.options.guests
    recording.traceID = parts.options.traceID
    recording.hostTraceID = parts.options.timeShift?.hostTraceID
    recording.hasHostTimes = times.shift != nil
    recording.recordedEvents = MergePass(plan, times).recordedEvents
    var missing: UInt64 = 0
    for buffer in parts.buffers { missing.saturatingAdd(buffer.missing(fileSize: fileSize)) }
    recording.isIncomplete = parts.isCut || missing > 0
    if missing > 0 {
      warnings.append("the file is cut: \(missing) bytes of its events are missing")
    }
    recording.warnings = warnings
    if let next = parts.next(in: bytes) {
      recording.note(more: fileSize - UInt64(next), at: UInt64(next))
    }
    self.init(
      plan: plan, set: set, times: times, counted: counted, recording: recording,
      formats: parts.formats.formats, isContainer: true, owners: choice.owners)
  }

  static func clock(of buffers: [TraceBuffer], _ parts: TraceDatParts) -> TraceClock {
    if let name = buffers.first?.clock, !name.isEmpty { return TraceClock(name: name) }
    return TraceClock(choice: parts.clocks ?? parts.options.clocks) ?? TraceClock(name: "local")
  }
}

extension StreamSet {
  init(
    _ buffers: [TraceBuffer], _ whole: TraceDatParts, fileSize: UInt64
  ) throws(TraceError) {
    try self.init(
      buffers, pageSize: whole.header.pageSize, layout: whole.layout,
      compression: whole.header.compression, counters: whole.options.counters, fileSize: fileSize)
  }
}
