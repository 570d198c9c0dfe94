import ArgumentParser
import Bytes

/// How many threads work on a recording.
package struct JobOptions: ParsableArguments {
  package init() {}

  @Option(
    name: [.customShort("j"), .customLong("jobs")],
    help: ArgumentHelp(
      "Threads that may be used (default: one per core); with two or more a recording is decoded while it is "
        + "replayed.",
      valueName: "n"))
  private var asked: Int?

  /// nil would be a number that differs from machine to machine in every manual page.
  var jobs: Int { asked ?? ProcessState.usableProcessors }

  package mutating func validate() throws {
    guard jobs >= 1 else {
      throw ValidationError("--jobs takes a number of threads, 1 or more")
    }
  }
}
