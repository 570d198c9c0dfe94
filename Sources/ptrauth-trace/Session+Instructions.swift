import KernelImage
import Replay
import Trace

/// Counts passes while a recording is read.
final class InstructionCounter {
  private var tally: InstructionTally

  init(_ tally: InstructionTally) { self.tally = tally }

  var address: UInt64 { tally.address }

  func take(_ sample: borrowing InstructionSample) { tally.take(sample) }

  func note(_ event: borrowing Event) { tally.take(event) }

  /// - Parameter file: it has been read.
  func passes(_ file: RecordingFile) -> InstructionPasses? {
    var lacks = InstructionTally.Shortcomings()
    lacks.lostSamples = !file.losses.isEmpty
    lacks.gaps = file.recording.instructionGaps
    lacks.isCut = file.recording.isIncomplete
    lacks.isFiltered = file.recording.commandLine.contains {
      $0 == "--filter" || $0.hasPrefix("--filter=")
    }
    return tally.finish(lacks)
  }
}

extension Session {
  /// nil when no sample can say which instructions ran.
  func instructionCounter() -> InstructionCounter? {
    let sources = file.recording.instructionSources
    guard !sources.isEmpty, let binding, binding.slideIsKnown,
      let tally = InstructionTally(binding.image, slide: binding.slide, sources: sources)
    else { return nil }
    return InstructionCounter(tally)
  }

  /// Adds what `counter` has counted.
  func finish(_ counter: InstructionCounter?, _ analysis: inout Analysis) {
    instructionRemark = nil
    guard file.recording.instructionSources.contains(where: isThere) else { return }
    guard let counter else {
      instructionRemark = whyNotLaid
      return
    }
    guard var passes = counter.passes(file) else {
      let place = "__guest_enter (0x\(String(counter.address, radix: 16)))"
      instructionRemark =
        file.recording.instructionSources.contains { isThere($0) && !$0.isSpeculative }
        ? "none of its samples of executed instructions lies in \(place): another "
          + "kernel, or not its level (perf traces no EL2 of a host in nVHE mode)"
        : "its samples are of the Statistical Profiling Extension, whose operations need not have been carried "
          + "out"
      return
    }
    instructionRemark =
      "passes are counted from its samples, and nothing else can be judged"
    if let contradiction = analysis.take(passes) {
      passes.certainty = .sample
      passes.reasons.append(contradiction)
    }
    analysis.passes = passes
  }

  private func isThere(_ source: InstructionSource) -> Bool {
    file.recording.recordedEvents.contains { $0.name == source.name && $0.count > 0 }
  }

  private var whyNotLaid: String {
    guard let binding else {
      return
        "its samples of executed instructions say nothing without the kernel's vmlinux; "
        + "pass it with -k"
    }
    guard binding.slideIsKnown else {
      return
        "it does not say where the kernel lay (perf writes a map of it unless told "
        + "otherwise), so its samples of executed instructions cannot be laid on \(binding.image.path)"
    }
    return "\(binding.image.path) has no code of __guest_enter"
  }
}
