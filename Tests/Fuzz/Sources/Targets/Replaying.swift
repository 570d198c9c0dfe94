import Observation
import Ptrauth
import Synchronization
import Trace

@testable import Replay

/// Reads all of a recording and replays it, as `analyze` does without a vmlinux.
func replay(_ path: String, formats: String? = nil) {
  guard let file = try? RecordingFile(path: path, formats: formats) else { return }
  var configuration = Replayer.Configuration()
  configuration.generation =
    file.recording.osRelease.flatMap(Generation.init(release:)) ?? Generation(named: "v7")
  configuration.observer = configuration.generation.map(Observers.fresh)
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

/// To make one takes longer than to read and replay a recording of a few KiB.
private enum Observers {
  private static let made = Mutex<[Generation: Observer]>([:])

  static func fresh(of generation: Generation) -> Observer {
    made.withLock { made in
      if let observer = made[generation] { return observer }
      let observer = Observer(Hypothesis.bank(of: generation))
      made[generation] = observer
      return observer
    }
  }
}
