import ArgumentParser
import Bytes
import Ptrauth
import Regression
import Replay
import Report

package struct Compare: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Compare recordings of two kernels: findings that are new, rates that moved.",
    usage: "ptrauth-trace compare [options] BASE... -- NEW...",
    discussion: """
      Each input is a recording (-: a stream, as of `perf record -o -`), a report of `analyze --format json`, or summaries (`merge --format summary`), which stand for \
      all recordings in them. Correctness findings are new, gone or \
      the same; rates are compared by their medians, and tested (Mann-Whitney U) from 4 recordings a side; of summaries also the \
      shares of recordings that have a finding (Fisher's exact test).

      Examples:
        ptrauth-trace compare good.data new.data
        ptrauth-trace compare -k vmlinux good.data -- new1.data new2.data
        ptrauth-trace compare --format markdown base/*.json -- new/*.json
        ptrauth-trace compare --fail-if 'redundant-share>1.1' a1 a2 -- b1 b2
        ptrauth-trace compare --regzbot v6.9..v6.10 old.data -- new.data

      --fail-if METRIC>NUMBER looks at the ratio new/base; +10% is 1.1, -20% is 0.8; new.METRIC>NUMBER at the \
      new side's median. From 4 inputs a side a ratio counts only if p < 0.05. The metrics are \
      \(Metric.all.map(\.name).joined(separator: ", ")).

      Exit codes: 0 no regression; 1 a new correctness finding of severity --fail-on or above, or a threshold is \
      crossed, or a finding that the base cannot show, which may be older (with --exit-code bisect 125); 2 an input cannot be used or misses events, the new side cannot show a rule that the base can \
      (--fail-on none compares rates alone), or none of its recordings judges a rule of --require; 64 usage.
      """)

  @Argument(
    parsing: .allUnrecognized,
    help: ArgumentHelp(
      "Recordings or JSON reports of the kernel to compare with; after --, those of the one in question.",
      valueName: "BASE... -- NEW"),
    completion: .file())
  var inputs: [String]

  /// What stands before and after `--`; of two inputs without it, the second is the new side.
  private var sides: (base: [String], new: [String]) {
    guard let border = inputs.firstIndex(where: { $0 == "--" || $0 == Self.border }) else {
      return inputs.count == 2 ? ([inputs[0]], [inputs[1]]) : (inputs, [])
    }
    return (Array(inputs[..<border]), Array(inputs[(border + 1)...]))
  }

  /// Stands for `--`, behind which argument-parser takes nothing for an option; no argument can be it.
  private static let border = "\u{0}new"

  /// The program's arguments, such that options may stand behind the `--` of `compare` too.
  static func separated(_ arguments: [String]) -> [String] {
    guard arguments.first == configuration.commandName ?? "compare",
      let place = arguments.firstIndex(of: "--")
    else { return arguments }
    var result = arguments
    result[place] = border
    return result
  }

  @Option(
    name: .customLong("format"),
    help:
      "text (72 columns, for a mailing list), markdown, json or html; without it, that of the output's name, else text."
  )
  var chosenFormat: Format?
  var format: Format { chosenFormat ?? output.impliedFormat() ?? .text }

  @Option(
    name: .customLong("fail-if"),
    help: ArgumentHelp(
      "Also a regression: 'redundant-share>1.1'. May be given again.", valueName: "condition"))
  var failIf: [String] = []

  @Option(
    help: ArgumentHelp(
      "Add regzbot's lines to the text: a range (v6.9..v6.10) or a commit.", valueName: "range"))
  var regzbot: String?

  @OptionGroup(title: "Kernel, where both sides ran the same, and reading")
  var kernel: KernelOptions

  @Option(help: "The base's vmlinux, where it is not found.", completion: .file())
  var baseVmlinux: String?

  @Option(help: "The new side's vmlinux, where it is not found.", completion: .file())
  var newVmlinux: String?

  @Flag(help: "Leave the code of the kernels' vmlinux alone: compare what the events show.")
  var noAudit = false

  @OptionGroup(title: "Output") var output: OutputOptions
  @OptionGroup(title: "Exit code") var verdict: VerdictOptions
  @OptionGroup(title: "Exit code") var required: RequirementOptions

  package enum Format: String, ExpressibleByArgument, CaseIterable {
    case text, markdown, json, html
  }

  func validate() throws {
    let (base, new) = sides
    if let option = (base + new).first(where: { $0.hasPrefix("-") && $0 != "-" }) {
      throw ValidationError(
        "\(option): not an option of compare; a file of that name is ./\(option)")
    }
    if base.isEmpty || new.isEmpty {
      throw ValidationError("give recordings or reports on both sides of --: BASE... -- NEW...")
    }
    for side in [base, new] {
      if let twice = Folder.firstTwice(in: side) {
        throw ValidationError("\(twice) is given twice on one side: it would count twice")
      }
    }
    if (base + new).count(where: { $0 == "-" }) > 1 {
      throw ValidationError("standard input can be read once")
    }
    _ = try thresholds()
    if let regzbot, regzbot.isEmpty || regzbot.contains(where: \.isWhitespace) {
      throw ValidationError("--regzbot takes a range (v6.9..v6.10) or a commit, without spaces")
    }
  }

  private func thresholds() throws -> [Threshold] {
    try failIf.map { text in
      do throws(ThresholdError) { return try Threshold(text) } catch {
        throw ValidationError("--fail-if \(error)")
      }
    }
  }

  package func run() throws {
    let thresholds = try thresholds()
    try verdict.exitCode.run {
      var pictures: [(side: String, document: Document)] = []
      let base = read(sides.base, "base", baseVmlinux ?? kernel.vmlinux, &pictures)
      let new = read(sides.new, "new", newVmlinux ?? kernel.vmlinux, &pictures)
      let report = ComparisonReport(
        Comparison(base: base, new: new), failOn: verdict.failOn.severity, thresholds: thresholds,
        introduced: regzbot, requirement: required.requirement)
      let sink = try output.sink(isText: format == .text)
      switch format {
      case .text:
        try sink.write(
          ComparisonText.render(report, style: output.style))
      case .markdown: try sink.write(ComparisonMarkdown.render(report))
      case .json: try sink.write(ComparisonJSON.render(report))
      case .html: try sink.write(ComparisonHTML.render(report, pictures: pictures))
      }
      try sink.finish()
      switch report.verdict {
      case .regression: return .findings
      case .undated: return .undatedFindings
      case .none: return .clean
      case .cannotJudge: return .cannotJudge
      }
    }
  }

  /// Every input of a side; one that cannot be read is said, and stands for a recording that nothing can be
  /// said of. The first recording of each side is drawn.
  private func read(
    _ paths: [String], _ side: String, _ vmlinux: String?,
    _ pictures: inout [(side: String, document: Document)]
  ) -> [Sample] {
    var samples: [Sample] = []
    for path in paths {
      do throws(Problem) {
        if let merged = try SummaryFiles.samples(path) {
          samples += merged
          continue
        }
        if let reports = try ReportFile.read(path) {
          samples += reports
          continue
        }
        let session = try Session(
          recording: path, vmlinux: vmlinux, generation: kernel.generation, formats: kernel.formats,
          types: kernel.types, isOffline: kernel.offline)
        session.auditsCode = !noAudit
        let isDrawn = format == .html && !pictures.contains { $0.side == side }
        var document: Document
        if isDrawn {
          let (analysis, picture) = try session.picture()
          document = try session.document(analysis)
          document.picture = picture
          pictures.append((side, document))
        } else {
          document = try session.document(try session.replay(timeline: nil))
        }
        if !output.quiet {
          for warning in document.recording.warnings {
            ProcessState.complain("ptrauth-trace: warning: \(path): \(warning)")
          }
        }
        samples.append(
          Sample(name: path, kernel: document.kernelLabel, document.analysis))
      } catch {
        ProcessState.complain("ptrauth-trace: \(error.sentence)")
        samples.append(Sample(unreadable: path))
      }
    }
    return samples
  }
}

extension Document {
  /// "6.1.0-56-arm64, scheme 5.16 (G5)".
  fileprivate var kernelLabel: String {
    [recording.osRelease, kernel.generation.map { "scheme \($0.name) (\($0.id))" }]
      .compactMap(\.self).joined(separator: ", ")
  }
}
