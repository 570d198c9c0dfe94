package import ArgumentParser
import Bytes
import Ptrauth
import Replay
import Report
import Trace

package struct Analyze: ParsableCommand {
  package init() {}

  package static let configuration = CommandConfiguration(
    commandName: "analyze",
    abstract: "Replay a recording and report missed saves and redundant key switches.",
    discussion: """
      Reads perf.data, trace.dat, ftrace text, or a directory of raw ring buffers (cpuN.trace_pipe_raw), packed \
      or not; finds the recorded kernel's vmlinux by its build-id (beside the \
      recording, in the build-id cache, /usr/lib/debug, /boot, debuginfod), follows every vCPU and reports.

      Examples:
        ptrauth-trace analyze perf.data
        ptrauth-trace analyze -k vmlinux trace.dat
        ptrauth-trace analyze -k vmlinux perf.data -o report.html
        ptrauth-trace analyze --generation 5.8 perf.data     (no vmlinux at hand)
        ptrauth-trace analyze --vcpu 1 --time 5.25,5.3 perf.data
        ptrauth-trace analyze a.dat b.data
        ptrauth-trace analyze recordings/     (all in it, the summary first)
        perf record -a -e 'kvm:*' -o - | ptrauth-trace analyze -
        ssh host cat /sys/kernel/tracing/trace_pipe |
          ptrauth-trace analyze -k vmlinux -

      Of a stream (-, or a FIFO) findings are printed as they come, to standard output with the text report \
      and to standard error otherwise. Ctrl-C or SIGTERM ends it, and the report of what came follows; a second \
      one ends the program.

      --vm, --vcpu, --cpu, --time and --rule choose what is shown and counts for the exit code; everything is \
      replayed, so that the state before a time is right. The first line says of what it speaks, and how much was \
      left out. Which rules were judged, and with --time or --cpu the counters, are of the whole recording.

      --write-known writes the findings of a run as a list; --known reads it: these findings are shown in a line each and \
      do not count, and one that is not there any more is said.

      Several recordings give one report each, then a summary (json: an array of the documents); the exit code is \
      that of the worst: findings, then what cannot be judged, then clean. In a folder a file that should have been a \
      recording and does not begin like one is unusable: one called *.data, *.dat, perf.data* or trace.dat*, packed or \
      not, one that cannot be opened, and one that is empty or all but empty and called as recordings there are. What \
      is passed over is named in a warning.

      In CI, and to find the commit (traces/ci/ and traces/bisect/ have the whole):
        ptrauth-trace analyze --require critical perf.data
        ptrauth-trace analyze --exit-code kselftest --format ktap perf.data
        ptrauth-trace analyze --format junit -o ptrauth.xml recordings/*.data
        git bisect run traces/bisect/bisect-run -- ./make-recording

      The code of the vmlinux is audited too (as by `audit`; --no-audit leaves it out). A failure in code that every \
      pass, load or trap comes through is a finding of level "static"; one in code that nothing shows to have \
      run is a warning, and said in the first line. Rules that no event of this kernel shows are judged by its code.

      The first line names the critical rules that were not judged. --require critical makes such a verdict \
      "cannot judge"; a rule that this kernel cannot break is fulfilled, named or not, and findings stay findings.

      Exit codes: 0 clean; 1 findings of severity --fail-on or above; 2 events are missing, the input is \
      unusable, no correctness rule can be judged from it, or a rule of --require was not; 64 usage.
      """,
    aliases: ["analyse"])

  @Argument(
    help: """
      perf.data (file, directory, or - for a pipe), trace.dat or ftrace text; may be several. \
      QEMU's log of -d exec,nochain is taken as with --instructions.
      """,
    completion: .file())
  package var recordings: [String] = []

  @Option(
    name: [.customShort("i"), .long], help: "The recording (as perf spells it; default perf.data).",
    completion: .file())
  var input: String?

  @Option(
    help: ArgumentHelp(
      """
      QEMU's -d exec,nochain log of the same run, or a perf.data with samples of branches or instructions \
      (perf inject --itrace): passes and key switches are counted in it.
      """,
      valueName: "log"),
    completion: .file())
  var instructions: String?

  @Option(
    name: .customLong("format"),
    help: """
      text, json (one document), jsonl (the timeline, one object a line), html (one file), perfetto \
      (for ui.perfetto.dev), summary (a line for `merge`); for CI ktap, junit, sarif, github, kcidb, lava; csv (counters by vCPU). \
      Without it, that of the output's name (report.html, .json, .jsonl, .sarif, .xml, .csv), else text.
      """)
  var chosenFormat: ReportFormat?
  var format: ReportFormat { chosenFormat ?? output.impliedFormat() ?? .text }

  @Flag(help: "Leave the code of the kernel's vmlinux alone: judge what the events show.")
  var noAudit = false

  @Flag(name: .shortAndLong, help: "Also list the marks of the generation and all event counts.")
  var verbose = false

  @OptionGroup(title: "Kernel and reading") package var kernel: KernelOptions
  @OptionGroup(title: "What is shown") var filters: FilterOptions
  @OptionGroup(title: "Output") var output: OutputOptions
  @OptionGroup(title: "Exit code") var verdict: VerdictOptions
  @OptionGroup(title: "Exit code") var known: KnownOptions
  @OptionGroup(title: "Exit code") package var required: RequirementOptions
  @OptionGroup(title: "Output") var suite: SuiteOptions
  @OptionGroup(title: "KCIDB") var kcidb: KCIDBOptions
  @OptionGroup(title: "Output") var label: LabelOptions

  package func validate() throws {
    if !recordings.isEmpty, input != nil {
      throw ValidationError("give the recording once: as an argument or with --input")
    }
    if instructions != nil, !Self.showsPasses(format) {
      throw ValidationError("passes of --instructions are shown as text or json")
    }
    if format == .perfetto, recordings.count > 1 {
      throw ValidationError("--format perfetto shows one recording")
    }
    if format == .summary, let twice = Folder.firstTwice(in: recordings) {
      throw ValidationError("\(twice) is given twice: it would count twice")
    }
    if format == .summary, let part = filters.chosen {
      throw ValidationError("\(part.words): a summary is of the whole recording")
    }
    if format != .summary, let word = label.words.first {
      throw ValidationError("--label \(word): only --format summary has labels")
    }
    if let rules = filters.chosen?.rules {
      for rule in required.requirement.named where !rules.contains(rule) {
        throw ValidationError("--require \(rule.id): --rule leaves it out")
      }
      if required.requirement.least != nil {
        throw ValidationError(
          "--require \(required.words.joined(separator: ",")): --rule leaves out rules that it asks for; name the required ones"
        )
      }
    }
    if recordings.count(where: { $0 == "-" }) > 1 {
      throw ValidationError("standard input can be read once")
    }
  }

  package func run() throws {
    try verdict.exitCode.run {
      _ = try known.list()
      let (groups, log) = try inputs()
      let recordings = groups.recordings
      if let log, recordings.isEmpty { return try analyzeInstructions(log) }
      for sentence in groups.passedOver { complain("warning: \(sentence)") }
      if format == .perfetto, recordings.count > 1 {
        throw Problem("perfetto shows one recording; there are \(recordings.count)")
      }
      if let report = MachineReport(format, kcidb, suite: suite.suite) {
        return try analyze(groups, as: report)
      }
      if format == .summary { return try summarize(groups) }
      if recordings.count > 1 { return try analyzeSeveral(groups, log) }
      let session = try Session(
        recording: recordings[0], kernel, guests: groups.guests[recordings[0]] ?? [])
      let sink = try sink(pages: !session.isStream)
      if let sentence = session.foreignness {
        try refuse(session.file.recording.path, sentence, to: sink)
        return .cannotJudge
      }
      var document = try replay(session, to: sink)
      if let log { document.passes = try passes(in: log, session.binding) }
      try write(document, to: sink)
      if format == .text, let passes = document.passes { try write(passes, to: sink) }
      if format == .jsonl {
        try sink.write(
          SummaryLines.verdict(
            Summary.Line(path: recordings[0], result: .judged(document.analysis)))
        )
      }
      try sink.finish()
      var found = KnownFindings()
      found.add(document)
      try known.write(found, besides: output.output)
      return Outcome(document.analysis)
    }
  }

  /// - Parameter pages: the text is all there when it is shown.
  func sink(pages: Bool) throws(ByteSinkError) -> ByteSink {
    pages && format == .text ? try output.textSink() : try ByteSink(path: output.output)
  }

  /// Replays one recording; the timeline is written meanwhile if it is asked for.
  func replay(_ session: Session, to sink: ByteSink) throws -> Document {
    try session.requireArm64()
    session.filter = filters.chosen
    if session.isStream, session.filter == nil, format != .html, format != .perfetto {
      return try replayStream(session, to: sink)
    }
    // Lines of the timeline, or earlier reports, may be on the same terminal.
    session.showsProgress =
      !output.quiet
      && (recordings.count < 2 && format != .jsonl && format != .perfetto
        || !output.isStandardOutput)
    var analysis: Analysis
    var picture: TimelinePicture?
    if format == .html {
      (analysis, picture) = try session.picture()
    } else if format != .jsonl, format != .perfetto {
      analysis = try session.replay(timeline: nil)
    } else {
      // Whether the shadow can be trusted is known only at the end: where that is possible, the
      // timeline is a second pass.
      let shadowIsNotLive =
        try session.canReread
        && session.replay(timeline: nil).wasFound(.trapWhileEnabled)
      var lines: any TimelineWriter =
        format == .jsonl
        ? TimelineLines(filter: session.filter?.words)
        : PerfettoTrace(filter: session.filter?.words)
      var failure: ByteSinkError?
      func write(_ bytes: [UInt8]) {
        guard failure == nil, !bytes.isEmpty else { return }
        do throws(ByteSinkError) { try sink.write(bytes) } catch { failure = error }
      }
      write(lines.begin())
      analysis = try session.replay(shadowIsNotLive: shadowIsNotLive) { write(lines.add($0)) }
      write(lines.end())
      if let failure { throw failure }
    }
    var document = try document(analysis, of: session)
    document.picture = picture
    return document
  }

  /// What the report shows, judged by what is required.
  func document(_ analysis: Analysis, of session: Session) throws(Problem) -> Document {
    session.auditsCode = !noAudit
    var document = try session.document(analysis)
    document.analysis.require(required.requirement)
    document.analysis.failOn = verdict.failOn.severity
    document.analysis.known = try known.list()?.known(in: document)
    return document
  }

  /// In place of the report of a recording in which there is nothing to judge.
  private func refuse(_ path: String, _ sentence: String, to sink: ByteSink) throws {
    complain(sentence, unless: .text)
    switch format {
    case .text:
      try sink.write(Refusal.text(path, sentence, style: output.style))
    case .json: try sink.write(JSONReport.refused(path: path, sentence: sentence))
    case .html: try sink.write(HTMLReport.render([.refused(path: path, sentence)]))
    case .jsonl:
      var lines = TimelineLines()
      try sink.write(lines.begin())
      try sink.write(SummaryLines.verdict(Summary.Line(path: path, result: .refused(sentence))))
    default: throw Problem("\(path): \(sentence)")
    }
    try sink.finish()
  }

  /// The report of one recording, unless it was written while it was replayed.
  func write(_ document: Document, to sink: ByteSink) throws {
    warn(of: document)
    switch format {
    case .text: try sink.write(text(document))
    case .json: try sink.write(JSONReport.render(document))
    case .html: try sink.write(HTMLReport.render([.judged(document)]))
    default: break
    }
  }

  func text(_ document: Document) -> String {
    TextReport.render(document, style: output.style, isVerbose: verbose)
  }

  func warn(of document: Document) {
    for warning in document.recording.warnings { complain(warning, unless: .text) }
  }

  /// The text report says its warnings itself.
  private func complain(_ warning: String, unless format: ReportFormat) {
    if !output.quiet, self.format != format || !output.isStandardOutput {
      ProcessState.complain("ptrauth-trace: warning: \(warning)")
    }
  }
}
