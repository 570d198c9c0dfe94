import ArgumentParser
import Bytes

/// Where results go, and how they look there.
struct OutputOptions: ParsableArguments {
  @Option(name: .shortAndLong, help: "Write to this file; - is standard output.")
  var output = "-"

  @Option(
    name: [.long, .customLong("stdio-color")], help: "auto, always or never.")
  var color = ColorChoice.auto

  @Flag(name: .shortAndLong, help: "No warnings on standard error.")
  var quiet = false

  enum ColorChoice: String, ExpressibleByArgument, CaseIterable { case auto, always, never }

  /// Standard output is what the result goes to.
  var isStandardOutput: Bool { output == "-" }

  var isColoured: Bool {
    switch color {
    case .always: true
    case .never: false
    case .auto:
      isStandardOutput && ProcessState.standardOutputIsTerminal
        && (ProcessState.environment["NO_COLOR"] ?? "").isEmpty
    }
  }
}
