import ArgumentParser
import Bytes
import Report

struct Info: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say what is in a recording, and whether it suffices.",
    discussion: """
      Shows the format, clock, kernel and recorder of a recording, its events with their counts, what was lost, \
      which evidence of the key switch it holds, and which rules can be judged from it; for what is missing, the \
      event or probe that would record it. Reads what `analyze` reads. Which function a probe is on, and the \
      kernel's scheme, take its vmlinux, found as `analyze` finds it.

      Examples:
        ptrauth-trace info perf.data
        ptrauth-trace info --format json trace.dat
        ptrauth-trace info --generation 5.16 trace.txt     (no vmlinux at hand)

      Exit codes: 0 at least one correctness rule can be judged from it; 2 none can, or it cannot be read; \
      64 usage.
      """)

  @Argument(
    help: "perf.data (file, directory, or - for a pipe), trace.dat or ftrace text.",
    completion: .file())
  var recording: String = "perf.data"

  @Option(help: "text or json.")
  var format = Format.text

  @OptionGroup(title: "Kernel") var kernel: KernelOptions
  @OptionGroup(title: "Output") var output: OutputOptions

  enum Format: String, ExpressibleByArgument, CaseIterable { case text, json }

  func run() throws {
    try ExitDialect.standard.run {
      let contents = try Session(recording: recording, kernel).contents()
      let sink = format == .text ? try output.textSink() : try ByteSink(path: output.output)
      if format == .json || !output.isStandardOutput, !output.quiet {
        for warning in contents.document.recording.warnings {
          ProcessState.complain("ptrauth-trace: warning: \(warning)")
        }
      }
      switch format {
      case .text:
        try sink.write(ContentsText.render(contents, style: Style(isColoured: output.isColoured)))
      case .json: try sink.write(ContentsJSON.render(contents))
      }
      try sink.finish()
      return contents.sufficiency == .no ? .cannotJudge : .clean
    }
  }
}
