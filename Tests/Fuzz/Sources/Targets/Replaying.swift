import Ptrauth
import Trace

// The fuzzers are a package of their own, which sees what is `package` here only like this.
#if FUZZING
  @testable import Replay
#else
  import Replay
#endif

/// Reads all of a recording and replays it, as `analyze` does without a vmlinux.
func replay(_ path: String, formats: String? = nil) {
  guard let file = try? RecordingFile(path: path, formats: formats) else { return }
  var configuration = Replayer.Configuration()
  configuration.generation =
    file.recording.osRelease.flatMap(Generation.init(release:)) ?? Generation(named: "v7")
  configuration.recordedEvents = file.recording.shownEvents
  configuration.omissions = file.recording.omissions
  // Without a kernel: an address is some function, always the same.
  configuration.resolve = { address in
    let functions = KernelFunction.allCases
    return functions[Int((address >> 2) % UInt64(functions.count))]
  }
  var replayer = Replayer(configuration) { _ in }
  _ = try? file.readEvents(instructions: { _ in }, { replayer.consume($0) })
  let analysis = replayer.finish(
    isCut: file.recording.isIncomplete, lostSamples: file.losses.samples)
  precondition(analysis.verdict != .clean || !file.recording.isIncomplete)
}
