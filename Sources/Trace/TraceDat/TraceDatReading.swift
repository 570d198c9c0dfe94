import Bytes

// How the events of a trace.dat are to be read: which instances, which decoders, which clock.
extension BufferReading {
  init(traceDat bytes: RawSpan, path: String) throws(TraceError) {
    let parts = try TraceDatParts(bytes)
    let fileSize = UInt64(bytes.byteCount)
    let plan = RecordPlan(parts.formats.formats)
    var warnings = parts.warnings + plan.warnings
    let buffers = try Self.chosen(parts, plan, bytes, &warnings)
    let set = try StreamSet(buffers, parts, fileSize: fileSize)

    let clock = Self.clock(of: buffers, parts)
    var times = EventTimes(offset: parts.options.timeOffset)
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
    recording.hostTraceID = parts.options.hostTraceID
    recording.recordedEvents = MergePass(plan, times).recordedEvents
    var missing: UInt64 = 0
    for buffer in parts.buffers { missing.saturatingAdd(buffer.missing(fileSize: fileSize)) }
    recording.isIncomplete = parts.isCut || missing > 0
    if missing > 0 {
      warnings.append("the file is cut: \(missing) bytes of its events are missing")
    }
    recording.warnings = warnings
    self.init(
      plan: plan, set: set, times: times, counted: counted, recording: recording,
      formats: parts.formats.formats)
  }

  /// The top instance, unless it has no event of use and others do.
  private static func chosen(
    _ parts: TraceDatParts, _ plan: RecordPlan, _ bytes: RawSpan, _ warnings: inout [String]
  ) throws(TraceError) -> [TraceBuffer] {
    let top = parts.buffers.filter(\.name.isEmpty)
    let others = parts.buffers.filter { !$0.name.isEmpty }
    if others.isEmpty { return top }
    if try hasUse(top, parts, plan, bytes) {
      warnings.append(
        "only the top instance of the ring buffer is read, not \(Self.names(others))")
      return top
    }
    var used: [TraceBuffer] = []
    for buffer in others where try hasUse([buffer], parts, plan, bytes) {
      if let first = used.first,
        clock(of: [first], parts) != clock(of: [buffer], parts)
      {
        warnings.append(
          "the instance \(buffer.name) has another clock than \(first.name); it is not read")
        continue
      }
      used.append(buffer)
    }
    if used.isEmpty { return top.isEmpty ? others : top }
    warnings.append(
      "the top instance of the ring buffer holds no event of use; read instead: \(names(used))")
    return used
  }

  private static func names(_ buffers: [TraceBuffer]) -> String {
    let said = buffers.prefix(8).map(\.name).joined(separator: ", ")
    return "the instance\(buffers.count == 1 ? "" : "s") "
      + (buffers.count > 8 ? "\(said) and \(buffers.count - 8) more" : said)
  }

  private static func clock(of buffers: [TraceBuffer], _ parts: TraceDatParts) -> TraceClock {
    if let name = buffers.first?.clock, !name.isEmpty { return TraceClock(name: name) }
    return TraceClock(choice: parts.clocks ?? parts.options.clocks) ?? TraceClock(name: "local")
  }

  /// Whether there is an event in `buffers` that would be delivered; reads up to the first.
  private static func hasUse(
    _ buffers: [TraceBuffer], _ parts: TraceDatParts, _ plan: RecordPlan, _ file: RawSpan
  ) throws(TraceError) -> Bool {
    let set = try StreamSet(buffers, parts, fileSize: UInt64(file.byteCount))
    var streams = set.streams(file)
    var slots = try set.slots()
    for number in streams.indices {
      while streams[number].advance(file, &slots) == .event {
        guard let record = streams[number].record(file, slots),
          let type = plan.type.read(record)
        else { continue }
        let source = plan.source(ofType: type)
        if source >= 0, plan.sources[source].isDelivered { return true }
      }
    }
    return false
  }
}

extension StreamSet {
  fileprivate init(
    _ buffers: [TraceBuffer], _ whole: TraceDatParts, fileSize: UInt64
  ) throws(TraceError) {
    try self.init(
      buffers, pageSize: whole.header.pageSize, layout: whole.layout,
      compression: whole.header.compression, counters: whole.options.counters, fileSize: fileSize)
  }
}
