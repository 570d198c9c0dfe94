import Bytes

// How the events of raw ring buffers are to be read: all of it from the files beside them.
extension BufferReading {
  /// - Parameter parts: where the folder's dumps lie in the mapped bytes, in their order.
  init(
    raw folder: RawBufferFolder, parts: [Range<Int>], fileSize: UInt64, formats: String?
  ) throws(TraceError) {
    guard parts.contains(where: { !$0.isEmpty }) else {
      throw TraceError(.hasNoRawData)
    }
    guard let place = formats ?? folder.folder(["events", "formats"]) else {
      throw TraceError(
        .hasNoFormats(
          reason: (folder.hasLeftovers
            ? "these are the files of each CPU that trace-cmd record leaves when it is killed, and "
              + "nothing describes their events; "
            : "the raw ring buffers have neither `events` nor `formats` beside them; ")
            + "copy tracefs' events directory there, or name a copy, or another recording of the same "
            + "boot, with --formats"))
    }
    let supplied = try EventFormats(at: place)
    var warnings: [String] = []
    if formats != nil {
      warnings.append(
        "the event formats come from \(place), which is right only if they are of the boot that was "
          + "recorded")
    }
    let header = supplied.pageHeader ?? folder.text("header_page") ?? []
    guard let layout = PageLayout(header.rawBytes) else {
      throw TraceError(
        .isCorrupt(part: "header_page", reason: "no page of a ring buffer can be so"), path: place)
    }
    let pageSize = layout.data + (layout.dataSize ?? 4096 - layout.data)
    let plan = RecordPlan(supplied.all)

    var buffer = TraceBuffer()
    var counters = RingBufferCounters()
    for (dump, part) in zip(folder.dumps, parts) {
      buffer.cpus.append(
        TraceBuffer.CPU(
          number: dump.cpu, offset: UInt64(part.lowerBound), size: UInt64(part.count)))
      if part.count % pageSize != 0 {
        warnings.append(
          "the dump of CPU \(dump.cpu) ends inside of a page (\(part.count % pageSize) bytes beyond "
            + "the last whole one of \(pageSize)): it is cut; copy it again")
      }
    }
    for stats in folder.stats {
      if let text = folder.text(of: stats) { counters.take(text.rawBytes, cpu: stats.cpu) }
    }
    if folder.hasLeftovers {
      warnings.append("trace-cmd record was killed: what it had not written yet is missing")
    }
    if folder.ignored > 0 {
      warnings.append(
        "\(folder.ignored) more recordings of killed recorders lie in this directory and are not read"
      )
    }
    let isCut = folder.hasLeftovers || parts.contains { $0.count % pageSize != 0 }
    let set = try StreamSet(
      [buffer], pageSize: pageSize, layout: layout, counters: counters, fileSize: fileSize)
    let times = EventTimes()
    let clock = folder.text("trace_clock").flatMap {
      TraceClock(choice: String(decoding: $0, as: UTF8.self))
    }
    var recording = Recording(
      path: folder.path, format: "raw ring buffers", byteCount: 0,
      clock: clock?.name ?? "unknown (no trace_clock beside the dumps)")
    for part in parts { recording.byteCount += UInt64(part.count) }
    if let clock { recording.take(clock, scale: nil, &warnings) }
    recording.noteMissingProcesses(plan, what: "a ring buffer", &warnings)
    recording.cpusOnline = Set(folder.dumps.map(\.cpu)).count
    if let names = folder.text("saved_cmdlines") {
      recording.threadNames = KernelSymbols.threadNames(in: names.rawBytes)
    }
    if let symbols = folder.text("kallsyms") {
      recording.kernelText = KernelSymbols.text(in: symbols.rawBytes)
    }
    recording.recordedEvents = MergePass(plan, times).recordedEvents
    recording.isIncomplete = isCut
    recording.warnings = warnings
    self.init(
      plan: plan, set: set, times: times, counted: counters.lost[""] ?? [:], recording: recording)
  }
}
