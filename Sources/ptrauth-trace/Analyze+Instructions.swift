import Bytes
import KernelImage
import Replay
import Report
import Trace

extension Analyze {
  /// The reports that have a place for passes.
  static func showsPasses(_ format: ReportFormat) -> Bool { format == .text || format == .json }

  /// The recordings, and the instruction-level log, wherever on the command line it was given. No
  /// recordings: the log alone.
  func inputs() throws(Problem) -> (RecordingGroups, log: String?) {
    var paths = recordings
    if paths.isEmpty, let input { paths = [input] }
    if paths.isEmpty, instructions == nil { paths = ["perf.data"] }
    let logs = paths.filter { !RecordingFile.isStream($0) && QEMULog.isLog($0) }
    paths.removeAll { logs.contains($0) }
    let all = (instructions.map { [$0] } ?? []) + logs
    guard all.count < 2 else {
      throw Problem(
        "\(all.joined(separator: ", ")): one instruction log belongs to one run; give one")
    }
    guard all.isEmpty || Self.showsPasses(format) else {
      throw Problem("\(all[0]): passes of an instruction log are shown as text or json")
    }
    return (RecordingGroups(paths), all.first)
  }

  /// Counts passes in the log of a run that was recorded too.
  func passes(in log: String, _ binding: KernelBinding?) throws(Problem) -> PassReport {
    guard let binding else {
      throw Problem("\(log): an instruction log takes the kernel's vmlinux; pass it with -k")
    }
    return try passes(in: log, binding.image, slide: binding.slide)
  }

  /// Behind the report of a recording.
  func write(_ passes: PassReport, to sink: ByteSink) throws {
    try sink.write("\n" + passes.text(style: output.style))
  }

  /// Counts passes in an instruction-level log.
  ///
  /// - Parameters:
  ///   - image: the kernel that ran.
  ///   - slide: run-time minus link-time address.
  func passes(in log: String, _ image: KernelImage, slide: UInt64) throws(Problem) -> PassReport {
    if PerfDataFile.isOne(log) { return try samples(in: log, image) }
    guard let code = GuestSwitchCode(of: image) else {
      throw Problem("\(image.path) has no code of __guest_enter; pass the vmlinux that ran with -k")
    }
    var counter = PassCounter(code, slide: slide)
    do throws(TraceError) {
      let file = try QEMULog(path: log)
      try file.readBlocks { counter.take(cpu: $0.cpu, address: $0.address, next: $0.next) }
    } catch {
      throw Problem("\(error)")
    }
    guard counter.blocks > 0 else {
      throw Problem(
        "\(log): no block lies in __guest_enter (0x\(String(code.address &+ slide, radix: 16))); is it "
          + "another kernel, was it moved (boot with nokaslr), or does -dfilter leave it out?")
    }
    return PassReport(
      path: log, cpus: counter.passesByCPU, total: counter.passes,
      isComplete: counter.isComplete)
  }

  /// Of a perf.data whose samples say which instructions ran.
  private func samples(in path: String, _ image: KernelImage) throws(Problem) -> PassReport {
    let file: RecordingFile
    do throws(TraceError) { file = try RecordingFile(path: path) } catch {
      throw Problem("\(error)")
    }
    let binding = KernelBinding(image, file.recording)
    guard binding.slideIsKnown else {
      throw Problem(
        "\(path) does not say where the kernel lay, so its samples cannot be laid on \(image.path)")
    }
    guard
      let tally = InstructionTally(
        image, slide: binding.slide, sources: file.recording.instructionSources)
    else {
      throw Problem("\(image.path) has no code of __guest_enter; pass the vmlinux that ran with -k")
    }
    let counter = InstructionCounter(tally)
    do throws(TraceError) { try file.readEvents(instructions: counter.take) { _ in } } catch {
      throw Problem("\(error)")
    }
    guard let passes = counter.passes(file) else {
      throw Problem(
        "\(path): no sample of an executed instruction lies in __guest_enter "
          + "(0x\(String(counter.address, radix: 16)))")
    }
    return PassReport(path: path, passes)
  }

  /// Without a recording: the passes alone.
  func analyzeInstructions(_ log: String) throws -> Outcome {
    guard let vmlinux = kernel.vmlinux else {
      throw Problem("an instruction log says nothing without the kernel's vmlinux; pass it with -k")
    }
    let image: KernelImage
    do { image = try KernelImage(path: vmlinux) } catch { throw Problem("\(error)") }
    let report = try passes(in: log, image, slide: 0)
    let sink = try ByteSink(path: output.output)
    if format == .json {
      try sink.write(report.json)
    } else {
      try sink.write(report.text(style: output.style))
    }
    try sink.finish()
    return report.isComplete ? .clean : .cannotJudge
  }
}
