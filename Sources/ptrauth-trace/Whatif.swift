import ArgumentParser
import Bytes
import Ptrauth
import Report

package struct Whatif: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "whatif",
    abstract: "Count what the recorded schedule would cost under other policies.",
    discussion: """
      Reduces a recording to its load intervals (passes, first use of pointer authentication) and counts what each \
      policy would pay for them: accesses to key registers, memory, barriers, traps. What the recording does not \
      show makes a number an interval; a policy is ranked before another only if it is cheaper either way. Cycle \
      costs are not known: --weights says what a unit of each is worth to you. Reads what `analyze` reads.

      Examples:
        ptrauth-trace whatif perf.data
        ptrauth-trace whatif --weights mrs=1,msr=1,isb=8,hyp=120,full=1500 perf.data
        ptrauth-trace whatif --hysteresis 8 --format json -k vmlinux trace.dat

      Several recordings give one table each (json: an array of the documents).

      Exit codes: 0 the table was made; 2 no load interval of a vCPU with ptrauth was seen, or the input is \
      unusable; 64 usage.
      """)

  @OptionGroup var given: RecordingOptions

  @Option(
    name: .customLong("format"),
    help: "text or json; without it, that of the output's name, else text.")
  var chosenFormat: Format?
  var format: Format { chosenFormat ?? output.impliedFormat() ?? .text }

  @Option(
    help: ArgumentHelp(
      "What one unit is worth: mrs, msr, pairs, isb, hyp, full. Default mrs=1,msr=1.",
      valueName: "name=number,..."))
  var weights = WeightList(weights: .accesses)

  @Option(
    help: ArgumentHelp(
      "How many load intervals the policy lazy-keep remembers, 1 to 64.", valueName: "intervals"))
  var hysteresis = Hysteresis.defaultDepth

  @OptionGroup(title: "Kernel and reading") var kernel: KernelOptions
  @OptionGroup(title: "Output") var output: OutputOptions

  enum Format: String, ExpressibleByArgument, CaseIterable { case text, json }

  func validate() throws {
    guard (1...64).contains(hysteresis) else {
      throw ValidationError("--hysteresis \(hysteresis): from 1 to 64 load intervals")
    }
  }

  func run() throws {
    try ExitDialect.standard.run {
      let groups = RecordingGroups(given.paths)
      let paths = groups.recordings
      guard paths.count > 1 else {
        let whatIf = try whatIf(paths[0], groups)
        let sink = try output.sink(isText: format == .text)
        try write(whatIf, to: sink)
        try sink.finish()
        return .clean
      }
      let sink = try output.sink(isText: format == .text)
      var worst = Outcome.clean
      var count = 0
      if format == .json { try sink.write("[\n") }
      for path in paths {
        do {
          let whatIf = try whatIf(path, groups)
          if count > 0 { try sink.write(format == .json ? ",\n" : "\n\n") }
          try write(whatIf, to: sink)
          count += 1
        } catch let problem as Problem {
          ProcessState.complain("ptrauth-trace: \(problem.sentence)")
          worst = .cannotJudge
        }
      }
      if format == .json { try sink.write("]\n") }
      try sink.finish()
      return worst
    }
  }

  private func whatIf(_ path: String, _ groups: RecordingGroups) throws(Problem) -> WhatIf {
    let session = try Session(recording: path, kernel, guests: groups.guests[path] ?? [])
    session.hysteresis = hysteresis
    session.auditsCode = false
    let document = try session.document(try session.replay(timeline: nil))
    guard document.kernel.generation != nil else {
      throw Problem(
        "\(path): the kernel's generation is not known; pass -k vmlinux or --generation")
    }
    let whatIf = WhatIf(document, hysteresis: hysteresis, weights: weights.weights)
    guard !whatIf.vcpus.isEmpty else {
      throw Problem(
        "\(path): no load interval of a vCPU with ptrauth was seen; `ptrauth-trace info` says "
          + "what the recording holds")
    }
    if format == .json || !output.isStandardOutput, !output.quiet {
      for warning in document.recording.warnings {
        ProcessState.complain("ptrauth-trace: warning: \(warning)")
      }
    }
    return whatIf
  }

  private func write(_ whatIf: WhatIf, to sink: ByteSink) throws(ByteSinkError) {
    switch format {
    case .text:
      try sink.write(WhatIfText.render(whatIf, style: output.style))
    case .json: try sink.write(WhatIfJSON.render(whatIf))
    }
  }
}

/// "mrs=1,full=1500". What is not named counts nothing.
struct WeightList: ExpressibleByArgument {
  var weights: CostWeights

  init(weights: CostWeights) { self.weights = weights }

  init?(argument: String) {
    weights = CostWeights()
    var named: Set<String> = []
    for part in argument.split(separator: ",") {
      let pair = part.split(separator: "=", maxSplits: 1)
      guard pair.count == 2, named.insert(String(pair[0])).inserted, let value = Double(pair[1]),
        value.isFinite, (0...1e9).contains(value)
      else { return nil }
      switch pair[0] {
      case "mrs": weights.mrs = value
      case "msr": weights.msr = value
      case "pairs": weights.pairs = value
      case "isb": weights.isb = value
      case "hyp": weights.hypTrips = value
      case "full": weights.fullTrips = value
      default: return nil
      }
    }
  }

  var defaultValueDescription: String { "mrs=1,msr=1" }
}
