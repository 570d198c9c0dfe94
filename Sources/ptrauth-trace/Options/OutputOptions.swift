import ArgumentParser
import Bytes
import Report

/// Where results go, and how they look there.
package struct OutputOptions: ParsableArguments {
  @Option(
    name: .shortAndLong,
    help: "Write to this file; - is standard output. Its name may say the format.")
  var output = "-"

  @Option(
    name: [.long, .customLong("stdio-color")], help: "auto, always or never.")
  var color = ColorChoice.auto

  @Flag(help: "Show text without a pager ($PERF_PAGER, $PAGER, less), even on a terminal.")
  var noPager = false

  @Flag(name: .shortAndLong, help: "No warnings and no progress on standard error.")
  var quiet = false

  package enum ColorChoice: String, ExpressibleByArgument, CaseIterable { case auto, always, never }

  /// Standard output is what the result goes to.
  var isStandardOutput: Bool { output == "-" }

  var isColoured: Bool {
    color.isColoured(
      isTerminal: isStandardOutput && ProcessState.standardOutputIsTerminal,
      environment: ProcessState.environment)
  }

  /// How text looks where it goes.
  var style: Style { Style(isColoured: isColoured, columns: columns) }

  /// What COLUMNS says, as to other programs (environ(7)), else the terminal; nil: neither.
  private var columns: Int? {
    guard isStandardOutput else { return nil }
    let asked = ProcessState.environment["COLUMNS"].flatMap { Int($0) }
    if let asked, asked > 0 { return asked }
    return ProcessState.standardOutputColumns
  }

  /// Where text goes: on a terminal through a pager.
  func textSink() throws(ByteSinkError) -> ByteSink {
    if isStandardOutput, !noPager, ProcessState.standardOutputIsTerminal,
      let pager = Pager(environment: ProcessState.environment)
    {
      return ByteSink(pager: pager)
    }
    return try ByteSink(path: output)
  }

  /// Where a result goes that is all there when it is shown.
  func sink(isText: Bool) throws(ByteSinkError) -> ByteSink {
    isText ? try textSink() : try ByteSink(path: output)
  }
}

extension OutputOptions.ColorChoice {
  /// What was asked for; else NO_COLOR (no-color.org), then CLICOLOR_FORCE and CLICOLOR (bixense.com/clicolors),
  /// then whether there is a terminal that can.
  package func isColoured(isTerminal: Bool, environment: [String: String]) -> Bool {
    switch self {
    case .always: return true
    case .never: return false
    case .auto:
      if !(environment["NO_COLOR"] ?? "").isEmpty { return false }
      if let force = environment["CLICOLOR_FORCE"], !force.isEmpty, force != "0" { return true }
      return isTerminal && environment["CLICOLOR"] != "0" && environment["TERM"] != "dumb"
    }
  }
}
