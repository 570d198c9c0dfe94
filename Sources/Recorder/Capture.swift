import Bytes
public import Probing
import Trace

/// One recording of the running kernel: sets the probes in an instance of its own, copies the buffers until it is
/// to end, writes a trace.dat and takes everything away. Key values reach no file: others stand for them.
public struct Capture {
  public var tracefs: Tracefs
  public var probes: [Probe]
  /// "system:name".
  public var tracepoints: [String]
  public var output: String
  /// The architecture's name, as uname -m.
  public var machine: String
  /// Ring buffer of each CPU in KiB.
  public var bufferSize = 16384
  public var clock = "mono"
  /// Pages of the ring buffer in KiB; nil leaves what the kernel takes.
  public var subBufferSize: Int?
  /// Milliseconds; nil is until something else ends it.
  public var duration: Int64?
  /// A program that is started when recording begins, and whose end ends it.
  public var command: [String] = []
  /// Called about once a second.
  public var progress: (Status) -> Void = { _ in }
  /// What was found before it began, in a sentence.
  public var notice: (String) -> Void = { _ in }

  public struct Status: Sendable {
    public var counters = BufferCounters()
    /// Of the pages.
    public var bytes: UInt64 = 0
    public var milliseconds: Int64 = 0
    /// Pages that were not understood and are left out, and why.
    public var refusal: (pages: UInt64, reason: String)?

    public init() {}

    init(_ reader: RawBufferReader, milliseconds: Int64) {
      counters = reader.counters()
      bytes = reader.total
      refusal = reader.refusal
      self.milliseconds = milliseconds
    }
  }

  public enum End: Sendable, Equatable {
    case signal
    case duration
    /// With this exit code, 128 + n after signal n.
    case command(Int32)
    /// There is room left for the file, and for no more.
    case lowSpace
  }

  public struct Result: Sendable {
    public var status: Status
    public var end: End
    /// Probes or the instance are still there.
    public var isCleanedUp: Bool
  }

  public init(
    _ tracefs: Tracefs, probes: [Probe], tracepoints: [String], output: String, machine: String
  ) {
    self.tracefs = tracefs
    self.probes = probes
    self.tracepoints = tracepoints
    self.output = output
    self.machine = machine
  }

  private var id: Int32 { SystemFile.processID }
  private var group: String { Tracefs.group(of: id) }
  private var instance: String { tracefs.path("instances/\(Tracefs.instance(of: id))") }

  /// Bytes for the metadata and whoever else writes to the file system.
  private static let reserve: UInt64 = 16 << 20

  /// What processes that were killed together with their guardians have left is removed first.
  public func run() throws -> Result {
    for gone in tracefs.abandoned() { _ = try Guardian(tracefs, of: gone).end() }
    if let old = try LeftRecording(output: output).setAside() {
      notice("a recording to \(output) was killed: what it had written is \(old) now")
    }
    let cpus = RawBufferReader.numbers(in: tracefs.path("per_cpu"))
    let unfinished = UnfinishedRecording.path(of: output)
    let guardian = try Guardian(tracefs, of: id)
    var result: Result
    do {
      result = try record(unfinished)
    } catch {
      _ = guardian.end()
      for file in cpus.map({ UnfinishedRecording.part(of: output, cpu: $0) }) + [unfinished] {
        SystemFile.remove(file)
      }
      throw error
    }
    result.isCleanedUp = guardian.end()
    return result
  }

  private func record(_ unfinished: String) throws -> Result {
    ProcessState.leaveNoCore()
    let signals = SignalFile()
    var writer = TraceDatWriter()
    try setUp()
    let live = try takeFormats(&writer)
    let reader = try RawBufferReader(instance + "/per_cpu", output: output, live)
    guard hasRoom(reader) else { throw CaptureError.noSpace(output) }
    // Whoever kills this leaves it, and the pages beside it: they can be read.
    writer.commandLines = (try? SystemFile.read(tracefs.path("saved_cmdlines"))) ?? []
    try writer.begin(unfinished, cpus: reader.cpus.count)
    let start = ProcessState.monotonicMilliseconds
    try SystemFile.write("1", to: instance + "/tracing_on")
    let child = command.isEmpty ? nil : try SpawnedProcess(command)
    let end: End
    do {
      end = try watch(reader, signals, child, since: start)
    } catch {
      child?.terminate()
      throw error
    }
    if case .command = end {} else { child?.terminate() }
    try SystemFile.write("0", to: instance + "/tracing_on")
    let milliseconds = ProcessState.monotonicMilliseconds - start
    // Nothing comes any more: what waits is taken as far as there is room, and the rest is lost.
    while hasRoom(reader, reserve: Self.reserve / 2), try reader.drain() > 0 {}
    var status = Status(reader, milliseconds: milliseconds)
    status.counters.lost &+= status.counters.waiting
    writer.statistics = reader.cpus.indices.map {
      "CPU: \($0)\n\(BufferCounters.closed(reader.statistics($0), refused: reader.refused($0)))"
    }
    writer.commandLines = (try? SystemFile.read(tracefs.path("saved_cmdlines"))) ?? []
    reader.finish()
    try writer.write(
      to: unfinished, parts: reader.cpus.map { $0.map { ($0.output, $0.total) } })
    try SystemFile.rename(unfinished, to: output)
    return Result(status: status, end: end, isCleanedUp: false)
  }

  private func setUp() throws(SystemFileError) {
    try SystemFile.makeDirectory(instance)
    try SystemFile.write("0", to: instance + "/tracing_on")
    try SystemFile.write(clock, to: instance + "/trace_clock")
    if let subBufferSize {
      try SystemFile.write("\(subBufferSize)", to: instance + "/buffer_subbuf_size_kb")
    }
    try SystemFile.write("\(bufferSize)", to: instance + "/buffer_size_kb")
    for probe in probes {
      try SystemFile.write(
        probe.definition(group: group) + "\n", to: tracefs.path("kprobe_events"), appends: true)
    }
    for event in events {
      try SystemFile.write("1", to: instance + "/events/\(event.system)/\(event.name)/enable")
    }
  }

  private var events: [(system: String, name: String)] {
    tracepoints.map { $0.split(separator: ":").map(String.init) }.filter { $0.count == 2 }
      .map { ($0[0], $0[1]) } + probes.map { (group, $0.event) }
  }

  private func takeFormats(_ writer: inout TraceDatWriter) throws -> LivePages {
    // Each instance has pages of its own size; kernels up to 6.7 have one header for all.
    let own = instance + "/events/header_page"
    writer.headerPage = try SystemFile.read(
      SystemFile.exists(own) ? own : tracefs.path("events/header_page"))
    writer.headerEvent = try SystemFile.read(tracefs.path("events/header_event"))
    var formats: [(system: String, text: [UInt8])] = []
    for name in SystemFile.names(in: tracefs.path("events/ftrace")) {
      let format = try? SystemFile.read(tracefs.path("events/ftrace/\(name)/format"))
      if let format {
        writer.ftraceFormats.append(format)
        formats.append(("ftrace", format))
      }
    }
    for event in events {
      let format = try SystemFile.read(instance + "/events/\(event.system)/\(event.name)/format")
      formats.append((event.system, format))
      if let known = writer.systems.firstIndex(where: { $0.name == event.system }) {
        writer.systems[known].formats.append(format)
      } else {
        writer.systems.append((event.system, [format]))
      }
    }
    let live: LivePages
    do throws(LivePages.Refusal) {
      live = try LivePages(header: writer.headerPage, formats: formats)
    } catch {
      throw CaptureError.keysStay("\(error)")
    }
    writer.pageSize = live.pageSize
    writer.symbols = (try? SystemFile.read("/proc/kallsyms")) ?? []
    writer.printFormats = (try? SystemFile.read(tracefs.path("printk_formats"))) ?? []
    writer.clock = try SystemFile.read(instance + "/trace_clock")
    let names = ["ostype", "hostname", "osrelease"].map { name in
      let text = (try? SystemFile.text("/proc/sys/kernel/\(name)")) ?? ""
      return text.split(separator: "\n").first.map(String.init) ?? "unknown"
    }
    writer.uname = (names + [machine]).joined(separator: " ")
    writer.traceID = UInt64.random(in: 1 ... .max)
    return live
  }

  /// The file, its metadata, and whoever else writes to the file system fit.
  private func hasRoom(_ reader: RawBufferReader, reserve: UInt64 = Capture.reserve) -> Bool {
    let place = output.split(separator: "/", omittingEmptySubsequences: false).dropLast()
    let directory = place.isEmpty ? "." : place.joined(separator: "/") + "/"
    guard let free = SystemFile.freeBytes(at: directory) else { return true }
    return free >= reader.room + reserve
  }

  private func watch(
    _ reader: RawBufferReader, _ signals: SignalFile, _ child: SpawnedProcess?, since start: Int64
  ) throws(SystemFileError) -> End {
    var shownAt = start
    var isBehind = false
    while true {
      signals.wait(milliseconds: isBehind ? 0 : 50)
      if !hasRoom(reader) { return .lowSpace }
      isBehind = RawBufferReader.isBehind(try reader.drain())
      let now = ProcessState.monotonicMilliseconds
      if signals.isStopped { return .signal }
      if let code = child?.ended() {
        // Ctrl-C goes to both: whose end it was does not hang on who is faster.
        signals.wait(milliseconds: 0)
        return signals.isStopped ? .signal : .command(code)
      }
      if let duration, now - start >= duration { return .duration }
      if now - shownAt >= 1000 {
        shownAt = now
        progress(Status(reader, milliseconds: now - start))
      }
    }
  }
}
