import ArgumentParser
import Bytes
import Ptrauth
import Replay
import Report
import Trace

struct Analyze: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Replay a recording and report missed saves and redundant key switches.",
    discussion: """
      Reads perf.data, trace.dat or ftrace text; finds the recorded kernel's vmlinux by its build-id (beside the \
      recording, in the build-id cache, /usr/lib/debug, /boot, debuginfod), follows every vCPU and reports.

      Examples:
        ptrauth-trace analyze perf.data
        ptrauth-trace analyze -k vmlinux trace.dat
        ptrauth-trace analyze -k vmlinux perf.data --format json -o report.json
        ptrauth-trace analyze --generation 5.8 perf.data     (no vmlinux at hand)

      Exit codes: 0 clean; 1 findings of severity --fail-on or above; 2 events are missing or the \
      input is unusable; 64 usage.
      """)

  @Argument(
    help: "perf.data (file, directory, or - for a pipe), trace.dat or ftrace text.",
    completion: .file())
  var recording: String?

  @Option(
    name: [.customShort("i"), .long], help: "The recording (as perf spells it; default perf.data).",
    completion: .file())
  var input: String?

  @Option(
    name: [.customShort("k"), .long],
    help: "The recorded kernel's vmlinux; may be .xz or .zst.", completion: .file())
  var vmlinux: String?

  @Option(
    help: ArgumentHelp(
      "The key switch's generation, where no vmlinux tells: v7, 5.2, 5.8 ... or a release.",
      valueName: "name"))
  var generation: String?

  @Option(help: "text, json (one document) or jsonl (the timeline, one object a line).")
  var format = Format.text

  @Option(name: .shortAndLong, help: "Write to this file; - is standard output.")
  var output = "-"

  @Option(
    help:
      "Exit with 1 for findings of this severity or above: info, low, medium, high, critical, none."
  )
  var failOn = FailOn.medium

  @Option(help: "auto, always or never.")
  var color = ColorChoice.auto

  @Flag(name: .shortAndLong, help: "Also list the marks of the generation and all event counts.")
  var verbose = false

  @Flag(name: .shortAndLong, help: "No warnings on standard error.")
  var quiet = false

  enum Format: String, ExpressibleByArgument, CaseIterable { case text, json, jsonl }
  enum ColorChoice: String, ExpressibleByArgument, CaseIterable { case auto, always, never }
  enum FailOn: String, ExpressibleByArgument, CaseIterable {
    case info, low, medium, high, critical, none
    var severity: Rule.Severity? { Rule.Severity(name: rawValue) }
  }

  func validate() throws {
    if recording != nil, input != nil {
      throw ValidationError("give the recording once: as an argument or with --input")
    }
    if let generation, Generation(named: generation) == nil {
      let names = Generation.all.map(\.name).joined(separator: ", ")
      throw ValidationError(
        "--generation \(generation): not a generation (\(names)) and not a kernel release")
    }
  }

  func run() throws {
    do {
      let status = try analyze(recording ?? input ?? "perf.data")
      if status != ExitStatus.clean { throw status }
    } catch let problem as Problem {
      ProcessState.complain("ptrauth-trace: \(problem.sentence)")
      throw ExitStatus.incomplete
    } catch let error as ByteSinkError {
      ProcessState.complain("ptrauth-trace: \(error)")
      throw ExitStatus.incomplete
    }
  }

  private func analyze(_ path: String) throws -> ExitCode {
    let session = try Session(recording: path, vmlinux: vmlinux, generation: generation)
    let sink = try ByteSink(path: output)
    var analysis: Analysis
    if format != .jsonl {
      analysis = try session.replay(timeline: nil)
    } else {
      // Whether the shadow can be trusted is known only at the end: where that is possible, the
      // timeline is a second pass.
      let shadowIsNotLive =
        try session.canReread
        && session.replay(timeline: nil).findings.contains { $0.rule == .trapWhileEnabled }
      var lines = TimelineLines()
      var failure: ByteSinkError?
      analysis = try session.replay(shadowIsNotLive: shadowIsNotLive) { entry in
        guard failure == nil else { return }
        do throws(ByteSinkError) { try sink.write(lines.line(entry)) } catch { failure = error }
      }
      if let failure { throw failure }
    }
    let document = try session.document(analysis)
    if !quiet { for warning in document.recording.warnings { complain(warning, unless: .text) } }
    switch format {
    case .text:
      try sink.write(
        TextReport.render(document, style: Style(isColoured: isColoured), isVerbose: verbose))
    case .json: try sink.write(JSONReport.render(document))
    case .jsonl: break
    }
    try sink.flush()
    return ExitStatus.of(analysis, failOn: failOn.severity)
  }

  /// The text report says its warnings itself.
  private func complain(_ warning: String, unless format: Format) {
    if self.format != format || output != "-" {
      ProcessState.complain("ptrauth-trace: warning: \(warning)")
    }
  }

  private var isColoured: Bool {
    switch color {
    case .always: true
    case .never: false
    case .auto:
      output == "-" && ProcessState.standardOutputIsTerminal
        && (ProcessState.environment["NO_COLOR"] ?? "").isEmpty
    }
  }
}
