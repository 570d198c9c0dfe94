import ArgumentParser

/// The recordings that a command reads: arguments, or as perf spells it.
struct RecordingOptions: ParsableArguments {
  @Argument(
    help: "perf.data (file, directory, or - for a pipe), trace.dat or ftrace text; may be several.",
    completion: .file())
  var recordings: [String] = []

  @Option(
    name: [.customShort("i"), .long], help: "The recording (as perf spells it; default perf.data).",
    completion: .file())
  var input: String?

  var paths: [String] { recordings.isEmpty ? [input ?? "perf.data"] : recordings }

  func validate() throws {
    if !recordings.isEmpty, input != nil {
      throw ValidationError("give the recording once: as an argument or with --input")
    }
    if recordings.count(where: { $0 == "-" }) > 1 {
      throw ValidationError("standard input can be read once")
    }
  }
}
