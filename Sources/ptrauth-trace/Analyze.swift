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

  @Option(help: "text, json (one document) or jsonl (the timeline, one object a line).")
  var format = ReportFormat.text

  @Flag(name: .shortAndLong, help: "Also list the marks of the generation and all event counts.")
  var verbose = false

  @OptionGroup(title: "Kernel") var kernel: KernelOptions
  @OptionGroup(title: "Output") var output: OutputOptions
  @OptionGroup(title: "Exit code") var verdict: VerdictOptions

  func validate() throws {
    if recording != nil, input != nil {
      throw ValidationError("give the recording once: as an argument or with --input")
    }
  }

  func run() throws {
    try verdict.exitCode.run { try analyze(recording ?? input ?? "perf.data") }
  }

  private func analyze(_ path: String) throws -> Outcome {
    let session = try Session(recording: path, kernel)
    let sink = try ByteSink(path: output.output)
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
    if !output.quiet {
      for warning in document.recording.warnings { complain(warning, unless: .text) }
    }
    switch format {
    case .text:
      try sink.write(
        TextReport.render(document, style: Style(isColoured: output.isColoured), isVerbose: verbose)
      )
    case .json: try sink.write(JSONReport.render(document))
    case .jsonl: break
    }
    try sink.flush()
    return Outcome(analysis, failOn: verdict.failOn.severity)
  }

  /// The text report says its warnings itself.
  private func complain(_ warning: String, unless format: ReportFormat) {
    if self.format != format || !output.isStandardOutput {
      ProcessState.complain("ptrauth-trace: warning: \(warning)")
    }
  }
}
