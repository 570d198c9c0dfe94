import Glibc
import KernelImage
import Ptrauth
import Replay
import Testing
import Trace

/// What lies beside the package.
private enum Shared {
  static let root =
    String(#filePath.split(separator: "/").dropLast(4).reduce("") { $0 + "/" + $1 }) + "/shared"
  static let run = root + "/recordings/v7/good"
  static var isPresent: Bool { unsafe access(run + "/text/trace.txt.zst", R_OK) == 0 }
}

/// The same run as perf.data and as text: the replay comes to the same.
@Suite(.enabled(if: Shared.isPresent, "needs ../shared"))
struct TextReplayTests {

  /// What a replay came to, without times and processes: text may have neither.
  struct Outcome: Equatable {
    var verdict: Analysis.Verdict
    var findings: [String]
    /// By vCPU: vcpu_id, pCPU, ret, ec, API and APK at both ends.
    var runs: [UInt64: [String]]
    var functions: [KernelFunction]

    init(
      _ recording: Recording, kernel: KernelBinding?,
      read: ((borrowing Event) -> Void) throws(TraceError) -> Void
    ) throws {
      var configuration = Replayer.Configuration()
      configuration.generation = Generation(named: "v7")
      configuration.recordedEvents = recording.recordedEvents
      if let kernel { configuration.resolve = kernel.function(at:) }
      var runs: [UInt64: [String]] = [:]
      var replayer = Replayer(configuration) {
        guard case .run(let run) = $0 else { return }
        runs[run.vcpu.pointer ?? 0, default: []].append(
          "\(run.vcpu.number ?? -1) \(run.cpu) \(run.ret ?? -1) \(run.ec ?? 0) "
            + "\(run.atEntry.bits) \(run.atExit.bits)")
      }
      try read { replayer.consume($0) }
      let analysis = replayer.finish(isCut: recording.isIncomplete)
      verdict = analysis.verdict
      findings = analysis.findings.map { "\($0.rule.id) \($0.level)" }
      functions = analysis.resolvedFunctions
      self.runs = runs
    }

    init(text path: String, kernel: KernelBinding?) throws {
      var file = try FtraceTextFile(path: path)
      let recording = file.recording
      try self.init(recording, kernel: kernel) { body throws(TraceError) in
        try file.readEvents(body)
      }
    }
  }

  private static func kernel(_ recording: Recording) throws -> KernelBinding {
    KernelBinding(
      try KernelImage(path: Shared.root + "/recordings/kernels/v7/vmlinux.slim.xz"), recording)
  }

  @Test(arguments: [
    // ftrace names the functions: no kernel image is needed.
    ("zstdcat '\(Shared.run)/text/trace.txt.zst'", false),
    ("zstdcat '\(Shared.run)/text/trace.txt.zst'", true),
    ("zstdcat '\(Shared.run)/text/report.txt.zst'", true),
    ("zstdcat '\(Shared.run)/text/script.txt.zst'", true),
    ("trace-cmd report -R -i '\(Shared.run)/trace.dat'", true),
  ])
  func runsAndFindingsAreThoseOfThePerfData(command: String, hasKernel: Bool) throws {
    var file = try PerfDataFile(path: Shared.run + "/perf.data")
    let recording = file.recording
    let kernel = try Self.kernel(recording)
    let expected = try Outcome(recording, kernel: kernel) { body throws(TraceError) in
      try file.readEvents(body)
    }
    let path = try Self.printed(command)
    defer { _ = unsafe unlink(path) }
    let outcome = try Outcome(text: path, kernel: hasKernel ? kernel : nil)
    #expect(expected.runs.values.reduce(0) { $0 + $1.count } == 1425)
    #expect(outcome.verdict == expected.verdict)
    #expect(outcome.findings == expected.findings)
    #expect(outcome.functions == expected.functions)
    #expect(Set(outcome.runs.keys) == Set(expected.runs.keys))
    for (vcpu, runs) in expected.runs { #expect(outcome.runs[vcpu] == runs, "\(vcpu)") }
  }

  /// A fault is found in the text as in the recording.
  @Test
  func aFaultIsFoundInText() throws {
    let path = Shared.root + "/recordings/v7/trap-skips-host-save/perf.data"
    var file = try PerfDataFile(path: path)
    let recording = file.recording
    let kernel = try Self.kernel(recording)
    let expected = try Outcome(recording, kernel: kernel) { body throws(TraceError) in
      try file.readEvents(body)
    }
    let text = try Self.printed("perf script --ns --guestkallsyms=/dev/null -i '\(path)'")
    defer { _ = unsafe unlink(text) }
    let outcome = try Outcome(text: text, kernel: kernel)
    #expect(expected.findings.contains { $0.hasPrefix("missed-host-save") })
    #expect(outcome.findings == expected.findings)
    #expect(outcome.runs == expected.runs)
  }

  private static func printed(_ command: String) throws -> String {
    var template = Array("/tmp/ptrauth-trace-replay-XXXXXX".utf8CString)
    let descriptor = unsafe mkstemp(&template)
    try #require(descriptor >= 0)
    close(descriptor)
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let status = unsafe system("\(command) > '\(path)' 2>/dev/null")
    try #require(status == 0, "install linux-perf, trace-cmd and zstd")
    return path
  }
}
