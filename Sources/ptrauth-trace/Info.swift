import ArgumentParser
import Bytes
import Report

package struct Info: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "Say what is in a recording, and whether it suffices.",
    discussion: """
      Shows the format, clock, kernel and recorder of a recording, its events with their counts, what was lost, \
      which evidence of the key switch it holds, and which rules can be judged from it; for what is missing, the \
      event or probe that would record it. Reads what `analyze` reads. Which function a probe is on, and the \
      kernel's scheme, take its vmlinux, found as `analyze` finds it.

      Examples:
        ptrauth-trace info perf.data
        ptrauth-trace info --format json trace.dat
        ptrauth-trace info a.data b.data     (json: an array)
        ptrauth-trace info --generation 5.16 trace.txt     (no vmlinux at hand)

      Exit codes: 0 at least one correctness rule can be judged from each; 2 none can of one, or it cannot be read; \
      64 usage.
      """)

  @OptionGroup var given: RecordingOptions

  @Option(
    name: .customLong("format"),
    help: "text or json; without it, that of the output's name, else text.")
  var chosenFormat: Format?
  var format: Format { chosenFormat ?? output.impliedFormat() ?? .text }

  @OptionGroup(title: "Kernel and reading") var kernel: KernelOptions
  @OptionGroup(title: "Output") var output: OutputOptions

  enum Format: String, ExpressibleByArgument, CaseIterable { case text, json }

  package func run() throws {
    try ExitDialect.standard.run {
      let groups = RecordingGroups(given.paths)
      let paths = groups.recordings
      guard paths.count > 1 else {
        let contents = try contents(paths[0], groups)
        let sink = try output.sink(isText: format == .text)
        try write(contents, to: sink)
        try sink.finish()
        return outcome(contents)
      }
      let sink = try output.sink(isText: format == .text)
      var worst = Outcome.clean
      for (number, path) in paths.enumerated() {
        if format == .json { try sink.write(number == 0 ? "[\n" : ",\n") }
        if format == .text, number > 0 { try sink.write("\n\n") }
        do {
          let contents = try contents(path, groups)
          try write(contents, to: sink)
          worst = max(worst, outcome(contents))
        } catch let problem as Problem {
          ProcessState.complain("ptrauth-trace: \(problem.sentence)")
          if format == .json {
            try sink.write(ContentsJSON.refused(path: path, sentence: problem.sentence))
          } else {
            try sink.write(
              Refusal.text(
                path, problem.sentence, style: output.style))
          }
          worst = max(worst, .cannotJudge)
        }
      }
      if format == .json { try sink.write("]\n") }
      try sink.finish()
      return worst
    }
  }

  private func contents(_ path: String, _ groups: RecordingGroups) throws(Problem) -> Contents {
    let contents = try Session(recording: path, kernel, guests: groups.guests[path] ?? [])
      .contents()
    if format == .json || !output.isStandardOutput, !output.quiet {
      for warning in contents.document.recording.warnings {
        ProcessState.complain("ptrauth-trace: warning: \(warning)")
      }
    }
    return contents
  }

  private func write(_ contents: Contents, to sink: ByteSink) throws(ByteSinkError) {
    switch format {
    case .text:
      try sink.write(ContentsText.render(contents, style: output.style))
    case .json: try sink.write(ContentsJSON.render(contents))
    }
  }

  private func outcome(_ contents: Contents) -> Outcome {
    contents.sufficiency == .no ? .cannotJudge : .clean
  }
}
