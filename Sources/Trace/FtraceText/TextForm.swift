import Bytes

/// Which program wrote a text, and with what it says about the recording.
struct TextForm {
  enum Kind: String {
    case trace = "trace"
    case latency = "trace, latency-format"
    case pipe = "trace_pipe"
    case report = "trace-cmd report"
    case script = "perf script"
    case page = "systrace"
  }

  private(set) var kind: Kind?
  /// What the header says, where it is known from the head of the file already.
  private(set) var cpusOnline: Int?
  private(set) var osRelease: String?
  private(set) var architecture: String?
  private(set) var commandLine: [String] = []
  /// Of "entries-in-buffer/entries-written": events that were overwritten before anyone read them.
  private(set) var overwritten: UInt64 = 0
  /// As it counts them: events that the text has, if it is whole; of several headers all.
  private(set) var promised: UInt64 = 0
  private(set) var hasHeader = false
  /// "# tracer: function_graph"; `nop` is none.
  private(set) var tracer: String?

  private static let tracerHead: TextPattern = "# tracer:"
  private static let entries: TextPattern = "# entries-in-buffer/entries-written: "
  private static let latencyHead: TextPattern = "latency trace v"
  private static let on: TextPattern = " on "
  private static let processors: TextPattern = "#P:"
  private static let reportHeads: [TextPattern] = ["cpus=", "version = ", "CPU "]
  private static let tags: [TextPattern] = ["<!DOCTYPE", "<!doctype", "<html", "<HTML"]
  private static let release: TextPattern = "# os release : "
  private static let machine: TextPattern = "# arch : "
  private static let online: TextPattern = "# nrcpus online : "
  private static let command: TextPattern = "# cmdline : "

  /// Looks at a line that starts with '#', or that is no event.
  mutating func takeIdle(_ line: RawSpan, number: Int) {
    if line.starts(with: Self.tracerHead, at: 0) {
      hasHeader = true
      var position = Self.tracerHead.bytes.count
      line.skipBlanks(&position)
      tracer = line.string(position, line.wordEnd(from: position))
      if kind == nil { kind = .trace }
    } else if line.starts(with: Self.entries, at: 0) {
      var position = Self.entries.bytes.count
      guard let kept = line.decimal(&position), line.u8(at: position) == Character8.slash else {
        return
      }
      position += 1
      guard let written = line.decimal(&position) else { return }
      promised.saturatingAdd(kept)
      if written > kept { overwritten.saturatingAdd(written - kept) }
      takeProcessors(line, position)
    } else if let place = line.position(behind: Self.latencyHead, from: 0), kind == .trace {
      kind = .latency
      if let release = line.position(behind: Self.on, from: place) {
        osRelease = line.string(release, line.wordEnd(from: release))
      }
    } else if line.starts(with: Self.release, at: 0) {
      osRelease = line.string(Self.release.bytes.count, line.byteCount)
    } else if line.starts(with: Self.machine, at: 0) {
      architecture = line.string(Self.machine.bytes.count, line.byteCount)
    } else if line.starts(with: Self.online, at: 0) {
      var position = Self.online.bytes.count
      cpusOnline = line.decimal(&position).flatMap { Int(exactly: $0) }
    } else if line.starts(with: Self.command, at: 0) {
      let words = line.string(Self.command.bytes.count, line.byteCount).split(separator: " ")
      commandLine = words.map(String.init)
    } else if kind == .latency {
      takeProcessors(line, 0)
    } else if kind == nil {
      takeStart(line, number)
    }
  }

  private mutating func takeProcessors(_ line: RawSpan, _ start: Int) {
    guard cpusOnline == nil, var position = line.position(behind: Self.processors, from: start)
    else { return }
    cpusOnline = line.decimal(&position).flatMap { Int(exactly: $0) }
  }

  private mutating func takeStart(_ line: RawSpan, _ number: Int) {
    if number <= 8, Self.tags.contains(where: { line.starts(with: $0, at: 0) }) {
      kind = .page
    } else if Self.reportHeads.contains(where: { line.starts(with: $0, at: 0) }) {
      kind = .report
      var position = Self.reportHeads[0].bytes.count
      if line.starts(with: Self.reportHeads[0], at: 0) {
        cpusOnline = line.decimal(&position).flatMap { Int(exactly: $0) }
      }
    }
  }

  /// Looks at the first event, where no header said what the text is: trace-cmd pads the names of
  /// events, and has no flags by default.
  mutating func takeFirst(_ line: RawSpan, _ head: LineHead) {
    guard kind == nil else { return }
    if head.style == .perf {
      kind = .script
    } else if head.values - head.nameEnd > 2 {
      kind = .report
    } else {
      kind = head.hasFlags ? .pipe : .trace
    }
  }

  /// ftrace itself wrote the lines: kretprobes have the return address first, and pointers are
  /// hashed.
  var isKernelText: Bool { kind != .report && kind != .script }

  var name: String { "ftrace text (\(kind?.rawValue ?? "trace"))" }
}
