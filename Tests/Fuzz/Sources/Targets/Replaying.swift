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
  #if FUZZING
    unsafe Model.shared.give(&replayer)
    defer { unsafe Model.shared.take(replayer) }
  #endif
  _ = try? file.readEvents(instructions: { _ in }, { replayer.consume($0) })
  let analysis = replayer.finish(
    isCut: file.recording.isIncomplete, lostSamples: file.losses.samples)
  precondition(analysis.verdict != .clean || !file.recording.isIncomplete)
}

#if FUZZING
  /// What the model worked out for other inputs, which it would work out again for each: most of the time.
  private struct Model {
    nonisolated(unsafe) static var shared = Model()

    private struct Kind: Hashable {
      var generation: Generation?
      var samplesShadow: Bool
    }

    private var last: [Kind: Replayer] = [:]
    private var uses = 0
    /// It has room for so much, and what does not fit is another matter: soon it starts anew.
    private static let mostUses = 256

    mutating func give(_ replayer: inout Replayer) {
      guard var known = last.removeValue(forKey: kind(replayer)) else { return }
      swap(&known.observer, &replayer.observer)
    }

    mutating func take(_ replayer: Replayer) {
      uses += 1
      if uses % Self.mostUses == 0 { last = [:] }
      last[kind(replayer)] = replayer
    }

    private func kind(_ replayer: Replayer) -> Kind {
      Kind(
        generation: replayer.configuration.generation,
        samplesShadow: replayer.capabilities.samplesShadow)
    }
  }
#endif
