import Bytes

/// A recording as text: `trace`, `trace_pipe`, `trace-cmd report`, `perf script`, a systrace page.
///
/// Text is what is left of a recording when it was printed: opening it reads all lines once, to find
/// who printed it and which events there are. ``readEvents(_:)`` delivers these in time order, as
/// often as it is called.
public struct FtraceTextFile: ~Copyable, Sendable {
  private let file: MappedFile
  private let scan: TextScan
  private let opened: Recording

  /// Complete but for the warnings about single events, which ``readEvents(_:)`` adds.
  public internal(set) var recording: Recording
  /// Marks of losses in the text, and (``Losses/samples``) what the header says was overwritten;
  /// known after ``readEvents(_:)``.
  public internal(set) var losses: Losses
  /// Time of the first and of the last event of each pCPU, in the text's own clock; known after
  /// ``readEvents(_:)``.
  public internal(set) var firstTimeByCPU: [Int32: UInt64]
  public internal(set) var lastTimeByCPU: [Int32: UInt64]

  /// Maps the file and reads all lines once.
  public init(path: String) throws(TraceError) {
    let map: MappedFile
    do throws(MappedFile.Failure) {
      map = try MappedFile(path: path, unpackedLimit: RecordingFile.unpackedLimit)
    } catch {
      throw TraceError(TraceError.Code(error), path: path)
    }
    try self.init(map, path: path)
  }

  /// A file that is mapped already.
  init(_ map: consuming MappedFile, path: String) throws(TraceError) {
    let byteCount = map.byteCount
    let compression = map.compression
    var text = map
    var found = try Self.scan(text, path, stopsAtMarkup: true)
    if found == nil {
      text = try Self.withoutMarkup(text, path)
      found = try Self.scan(text, path, stopsAtMarkup: false)
    }
    let scan = found ?? TextScan()
    self.scan = scan
    var opened = Self.recording(scan, path, byteCount)
    opened.note(compression)
    self.opened = opened
    recording = opened
    losses = Losses()
    firstTimeByCPU = [:]
    lastTimeByCPU = [:]
    file = text
  }

  /// After so many bytes the pages that were read are given back.
  private static let stride = 64 << 20

  private static func withoutMarkup(
    _ map: consuming MappedFile, _ path: String
  ) throws(TraceError) -> MappedFile {
    do throws(MappedFile.Failure) {
      return try MappedFile(memory: EscapedMarkup.removed(from: map.bytes))
    } catch {
      throw TraceError(TraceError.Code(error), path: path)
    }
  }

  /// - Returns: nil where escaped markup is in it, if that is asked for.
  private static func scan(
    _ map: borrowing MappedFile, _ path: String, stopsAtMarkup: Bool
  ) throws(TraceError) -> TextScan? {
    let bytes = map.bytes
    guard bytes.byteCount > 0 else { throw TraceError(.isEmpty, path: path) }
    if bytes.starts(with: atrace, at: 0) { throw TraceError(.isCompressedText, path: path) }
    var scan = TextScan()
    var walk = LineWalk()
    var searched = 0
    while walk.position < bytes.byteCount {
      let end = walk.position + stride
      if stopsAtMarkup, EscapedMarkup.isIn(bytes, from: searched, to: end) { return nil }
      searched = end
      scan.advance(to: end, bytes, &walk)
      map.giveBackPages()
    }
    if let refusal = scan.refusal { throw TraceError(refusal, path: path) }
    if let reason = scan.order.refusal {
      throw TraceError(.isCorrupt(part: "text", reason: reason), path: path)
    }
    return scan
  }

  /// Delivers all events in time order, from the first, and then brings ``recording`` and
  /// ``losses`` up to date. What cannot be read is said in the recording's warnings.
  public mutating func readEvents(_ body: (borrowing Event) -> Void) throws(TraceError) {
    take(try pass(body))
  }

  func pass(_ body: (borrowing Event) -> Void) throws(TraceError) -> PassResult {
    let bytes = file.bytes
    var pass = TextPass(scan)
    var walk = LineWalk()
    while walk.position < bytes.byteCount {
      pass.advance(to: walk.position + Self.stride, bytes, &walk, scan.table, body)
      file.giveBackPages()
    }
    pass.finish(bytes, scan.table, body)
    var result = opened
    result.warnings += pass.doubts.warnings
    // Sorted as a whole, none comes late; those that slipped are where they do not belong all the same.
    let lateCount = scan.order.isShuffled ? scan.order.turnCount : pass.lateCount
    if lateCount > 0 {
      result.isIncomplete = true
      result.warnings.append(
        "\(lateCount) event\(lateCount == 1 ? "" : "s") came out of order, more than "
          + "\(TextPass.roundSize) events late")
    }
    return PassResult(
      recording: result, losses: pass.losses, firstTimeByCPU: pass.span.firstByCPU,
      lastTimeByCPU: pass.span.lastByCPU)
  }

  static func recording(
    _ scan: TextScan, _ path: String, _ byteCount: Int
  ) -> Recording {
    var recording = Recording(
      path: path, format: scan.form.name, byteCount: UInt64(byteCount),
      clock: scan.unit == .ticks ? "unknown (text, ticks)" : "unknown (text)")
    recording.cpusOnline = scan.form.cpusOnline
    recording.osRelease = scan.form.osRelease
    recording.architecture = scan.form.architecture
    recording.commandLine = scan.form.commandLine
    recording.recordedEvents = scan.table.events.map(\.recorded)
    if scan.functionCount > 0 {
      var event = RecordedEvent(system: "ftrace", name: "function", isProbe: false, fields: [])
      event.count = scan.functionCount
      recording.recordedEvents.append(event)
    }
    recording.isIncomplete = scan.isCut || scan.absentCount > 0
    if scan.absentCount > 0 {
      recording.warnings.append(
        "the text has \(scan.form.promised - scan.absentCount) of the \(scan.form.promised) events that its "
          + "header counts: lines were cut off or filtered out")
    }
    recording.warnings.append(label(scan))
    let names = Set(recording.recordedEvents.lazy.filter { $0.system == "kvm" }.map(\.name))
    if scan.form.kind == .script, !names.isEmpty, !names.contains("kvm_entry") {
      // Between load and put the kernel marks events as the guest's (CONFIG_GUEST_PERF_EVENTS).
      recording.warnings.append(
        "no kvm_entry is in this text: perf script leaves the events between vCPU load and put "
          + "out unless it is called with --guestkallsyms=/dev/null; print it again with that")
    }
    if scan.isCut {
      recording.warnings.append(
        "the last line (\(scan.lineCount)) has no end: it is counted and not used, and more may "
          + "be missing")
    }
    return recording
  }

  /// What the text cannot say.
  private static func label(_ scan: TextScan) -> String {
    var lacks: [String] = []
    switch scan.unit {
    case .microseconds, .latency: lacks.append("times are whole microseconds")
    case .ticks: lacks.append("times are ticks of a clock that counts no nanoseconds")
    case .nanoseconds, nil: break
    }
    if !scan.hasProcesses { lacks.append("process ids are missing") }
    lacks.append(
      scan.form.kind == .script
        ? "losses show only with --show-lost-events" : "not every loss shows")
    return "this is text, less than the recording it was printed from: "
      + lacks.joined(separator: ", ") + "; where there is a perf.data or trace.dat, pass that"
  }

  static let atrace: TextPattern = "TRACE:"

  /// Whether a file that starts so is worth opening as text: `head` is its first bytes, as many as
  /// there are, 4 KiB suffice.
  public static func looksLikeFtraceText(_ head: [UInt8]) -> Bool {
    head.withRawSpan(looksLikeText)
  }

  private static func looksLikeText(_ bytes: RawSpan) -> Bool {
    if bytes.starts(with: atrace, at: 0) { return true }
    var form = TextForm()
    var walk = LineWalk()
    while walk.next(bytes) {
      guard walk.end - walk.start <= LineWalk.limit,
        let line = bytes.slice(at: walk.start, count: walk.end - walk.start)
      else { return false }
      switch TextLine(line) {
      case .event, .record, .tracer, .lost, .bufferStarted: return true
      case .idle: form.takeIdle(line, number: walk.number)
      case .unknown:
        form.takeIdle(line, number: walk.number)
        if form.kind == nil, let option = TextOption(line) { return option != .bin }
      }
      if form.kind != nil { return true }
    }
    return false
  }
}
