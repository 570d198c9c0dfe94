package import ArgumentParser
import Bytes
import Explorer
import Ptrauth
import Report

package struct Verify: ParsableCommand {
  package init() {}

  package static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Explore the model of the key switch exhaustively.",
    discussion: """
      Visits every state that vCPUs, pCPUs and host tasks can reach under one generation's code, in every order of \
      scheduling, trapping and saving, and says which invariants hold; for one that does not, the shortest run \
      that breaks it, in the kernel's own terms. Without --generation and --fault: every generation in each of \
      its eras, and every fault.

      What a generation breaks by design (v7 to 5.7: the trap handler that saves the host's keys can be preempted) \
      is named with the commit that ended it, which is proved by exploring the same setting with that change.

      Examples:
        ptrauth-trace verify
        ptrauth-trace verify --generation v7
        ptrauth-trace verify --generation 5.16 --era C --features both,none
        ptrauth-trace verify --fault trap-skips-host-save
        ptrauth-trace verify --generation 6.10 --dot | dot -Tsvg > vcpu.svg

      Exit codes: 0 every invariant holds, or is broken by a known defect of that generation only (of everything: \
      no generation is violated, and every fault is found); 1 an invariant is violated (a planted fault: always, \
      unless it was missed), or with --strict a known defect; 2 not all states were explored; 64 usage.
      """)

  @OptionGroup(title: "What runs") package var setting: SettingOptions

  @Option(
    name: .customLong("format"),
    help: "text or json; without it, that of the output's name, else text.")
  var chosenFormat: Format?
  var format: Format { chosenFormat ?? output.impliedFormat() ?? .text }

  @Flag(
    help:
      "Write the automaton of one vCPU for Graphviz, as tools/verification of the kernel reads it.")
  var dot = false

  @Flag(name: .shortAndLong, help: "Every counterexample, not only the shortest and the longest.")
  var verbose = false

  @Flag(help: "Known defects are violations.")
  var strict = false

  @Option(
    help: ArgumentHelp("Give up beyond so many states (30 bytes each).", valueName: "states"))
  var limit = 40_000_000

  @OptionGroup(title: "Output") var output: OutputOptions

  @Option(
    help: ArgumentHelp(
      "standard: 0, 1 violated, 2 cannot judge; bisect: 2 becomes 125; kselftest: 2 becomes 4.",
      valueName: "dialect"))
  var exitCode = ExitDialect.standard

  enum Format: String, ExpressibleByArgument, CaseIterable { case text, json }

  package func validate() throws {
    if setting.isEverything, dot || format == .json {
      throw ValidationError("--dot and --format json are of one generation: add --generation")
    }
    if limit < 1 { throw ValidationError("--limit \(limit): at least 1 state") }
  }

  package func run() throws {
    try exitCode.run {
      let sink = try output.sink(isText: format == .text && !dot)
      let outcome = try setting.isEverything ? everything(to: sink) : one(to: sink)
      try sink.finish()
      return outcome
    }
  }

  private func one(to sink: ByteSink) throws -> Outcome {
    let asked = try setting.setting()
    if dot {
      let faulty = setting.chosenFault?.planted(in: asked) ?? asked
      try sink.write(AutomatonDot.render(Automaton(faulty)))
      return .clean
    }
    let found = Verification(asked, fault: setting.chosenFault, limit: limit)
    switch format {
    case .text:
      try sink.write(
        VerificationText.render(found, style: style, isVerbose: verbose, isStrict: strict))
    case .json: try sink.write(VerificationJSON.render(found))
    }
    if !found.violations.isEmpty || (strict && !found.knownDefects.isEmpty) { return .findings }
    return found.isComplete ? .clean : .cannotJudge
  }

  private func everything(to sink: ByteSink) throws -> Outcome {
    var table = VerificationTable(style: style, isStrict: strict)
    var hasKnownDefect = false
    for generation in Generation.all {
      for era in generation.eras {
        let found = Verification(setting.setting(of: generation, era), limit: limit)
        hasKnownDefect = hasKnownDefect || !found.knownDefects.isEmpty
        table.add(found)
      }
    }
    table.beginFaults()
    for fault in Fault.all {
      table.addFault(Verification(fault.setting, fault: fault, limit: limit))
    }
    try sink.write(table.text)
    if table.hasSurprise || (strict && hasKnownDefect) { return .findings }
    return table.isComplete ? .clean : .cannotJudge
  }

  private var style: Style { output.style }
}
