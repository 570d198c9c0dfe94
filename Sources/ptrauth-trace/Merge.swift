import ArgumentParser
import Bytes
import Fleet
import Report

package struct Merge: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract: "Merge summaries of any number of recordings into one report.",
    discussion: """
      Reads the lines of `analyze --format summary`, and those of `merge --format summary`: merges of merges say \
      the same, in whatever order and grouping. Memory grows with kernels, labels and rules, not with recordings.

      Recordings are told apart by their kernel (release and build-id), or by what --by names; the rows come in the \
      order of releases (6.2.0-rc1, 6.2.0, 6.10.0) and of values of labels, and the first bad one is named. With \
      --format summary, and no --by, kernels and labels all stay apart.

      Examples:
        ptrauth-trace analyze --format summary --label board=a a.data >> night.jsonl
        ptrauth-trace merge night.jsonl
        ptrauth-trace merge --by label:board,kernel night.jsonl -o night.html
        cat nights/*.jsonl | ptrauth-trace merge --format summary - > month.jsonl
        ptrauth-trace compare last-month.jsonl -- month.jsonl

      A line that is no summary is counted in the report and named on standard error by file and line.

      Exit codes: 0 clean; 1 findings of severity --fail-on or above in some recording; 2 none, and a recording \
      misses events or could not be judged, a line is no summary, or there is none; 64 usage.
      """)

  @Argument(
    help: "Files of summaries; - is standard input, and so is none.",
    completion: .file(extensions: ["jsonl"]))
  var files: [String] = []

  @Option(
    help: ArgumentHelp(
      """
      What recordings are told apart by, separated by commas, the first being the first in the order of rows: kernel, \
      label:KEY (default: kernel). With kcidb kernels stay apart too.
      """,
      valueName: "facets"),
    transform: { words in
      guard let grouping = Grouping(words) else {
        throw ValidationError(
          "--by \(words): must be kernel and label:KEY, each once, with commas between, as in label:board,kernel"
        )
      }
      return grouping
    })
  var by: Grouping?

  @Option(
    name: .customLong("format"),
    help: """
      text, json, html, markdown, summary (lines to merge again); for CI junit, kcidb. Without it, that of the \
      output's name (.jsonl is summary), else text.
      """)
  var chosenFormat: Format?

  package enum Format: String, ExpressibleByArgument, CaseIterable {
    case text, json, html, markdown, summary, junit, kcidb
  }

  @OptionGroup(title: "Output") var output: OutputOptions
  @OptionGroup(title: "Exit code") var verdict: VerdictOptions
  @OptionGroup(title: "Output") var suite: SuiteOptions
  @OptionGroup(title: "KCIDB") var kcidb: KCIDBOptions

  var format: Format {
    if let chosenFormat { return chosenFormat }
    let implied: ReportFormat? = output.impliedFormat()
    return implied == .jsonl ? .summary : output.impliedFormat() ?? .text
  }

  func validate() throws {
    if files.count(where: { $0 == "-" }) > 1 {
      throw ValidationError("standard input can be read once")
    }
    if let twice = Folder.firstTwice(in: files) {
      throw ValidationError("\(twice) is given twice: its recordings would count twice")
    }
    if chosenFormat == nil, let asked: ReportFormat = output.impliedFormat(),
      asked != .jsonl, Format(rawValue: asked.rawValue) == nil
    {
      throw ValidationError(
        "-o \(output.output): merge writes no \(asked.rawValue); its formats are "
          + Format.allCases.map(\.rawValue).joined(separator: ", "))
    }
    if files.isEmpty, ByteStream.standardInputIsTerminal {
      throw ValidationError("give files of summaries, as analyze --format summary writes them")
    }
  }

  func run() throws {
    try verdict.exitCode.run {
      var summaries = SummaryFiles(by: grouping, isQuiet: output.quiet)
      for path in files.isEmpty ? ["-"] : files { summaries.read(path) }
      summaries.finish()
      if format == .kcidb, kcidb.kcidbBuildID != nil {
        let kernels = Set(summaries.fleet.sorted.map(\.group.kernel)).count
        guard kernels <= 1 else {
          throw ValidationError(
            "--kcidb-build-id names one build, and the recordings are of \(kernels) kernels: leave it out, or merge "
              + "those of one")
        }
      }
      let report = FleetReport(summaries.fleet, failOn: verdict.failOn.severity)
      let sink = try output.sink(isText: format == .text)
      try sink.write(rendered(report))
      try sink.finish()
      return report.failing.isEmpty ? (report.isOpen ? .cannotJudge : .clean) : .findings
    }
  }

  private var grouping: Grouping {
    let asked = by ?? (format == .summary ? .everything : .kernels)
    // A test result of KCIDB is of one build.
    return format == .kcidb ? asked.withKernels : asked
  }

  private func rendered(_ report: FleetReport) -> [UInt8] {
    switch format {
    case .text: Array(FleetText.render(report, style: output.style).utf8)
    case .json: FleetJSON.render(report)
    case .html: FleetHTML.render(report)
    case .markdown: Array(FleetMarkdown.render(report).utf8)
    case .summary: SummaryReport.render(report.fleet)
    case .junit: Array(FleetJUnit.render(report, suite: suite.suite).utf8)
    case .kcidb:
      FleetKCIDB(origin: kcidb.kcidbOrigin, buildID: kcidb.kcidbBuildID).render(
        report, suite: suite.suite)
    }
  }
}
