public import Ptrauth
public import Replay

/// Everything a report shows. Reports know neither recordings nor kernels: who builds the document
/// states their facts here.
public struct Document: Sendable {
  public var recording: RecordingFacts
  public var kernel: KernelFacts
  public var analysis: Analysis
  /// Why no vCPU could be followed; nil if one was.
  public var obstacle: String?
  /// The timeline, where the report draws it.
  public var picture: TimelinePicture?
  /// Passes that an instruction-level log of the same run counted.
  public var passes: PassReport?

  public init(recording: RecordingFacts, kernel: KernelFacts, analysis: Analysis) {
    self.recording = recording
    self.kernel = kernel
    self.analysis = analysis
  }
}

extension Document {
  /// What is missing where no vmlinux lies under the recording, with the command that helps; nil where that
  /// is not what stands in the way.
  func kernelRemark(_ command: String) -> String? {
    guard obstacle == nil else { return nil }
    return kernelCommand(command).map { "no vmlinux was found, give it: \($0)" }
  }

  /// nil where there is a vmlinux.
  func kernelCommand(_ command: String) -> String? {
    kernel.path == nil
      ? "ptrauth-trace \(command) -k vmlinux \(shellWord(recording.path))" : nil
  }

  /// "16298 of 25543 events used": of all that the recording holds, those that the analysis has a use for.
  var eventWords: String {
    let all = recording.events.reduce(0) { $0 &+ $1.count }
    return all > analysis.eventCount
      ? "\(analysis.eventCount) of \(all) events used" : counted(analysis.eventCount, "event")
  }
}

/// A file name as a shell takes it.
func shellWord(_ path: String) -> String {
  let isPlain = path.allSatisfy {
    $0.isASCII && ($0.isLetter || $0.isNumber || "._-/+=:,@%".contains($0))
  }
  return isPlain && !path.isEmpty ? path : "'" + path.replacing("'", with: "'\\''") + "'"
}

public struct RecordingFacts: Sendable {
  public var path: String
  public var format: String
  public var byteCount: UInt64
  public var clock: String
  public var osRelease: String?
  public var architecture: String?
  public var cpusOnline: Int?
  public var commandLine: [String] = []
  public var events: [(name: String, count: UInt64)] = []
  /// PERF_RECORD_LOST_SAMPLES: losses by event, without a place in time.
  public var lostSamples: UInt64 = 0
  public var isIncomplete = false
  public var warnings: [String] = []
  /// Guests that the recorder knew.
  public var guests: [GuestFacts] = []

  public init(path: String, format: String, byteCount: UInt64, clock: String) {
    self.path = path
    self.format = format
    self.byteCount = byteCount
    self.clock = clock
  }
}

public struct KernelFacts: Sendable {
  /// The vmlinux used, if any.
  public var path: String?
  public var buildID: String?
  /// The build-id in the recording.
  public var recordedBuildID: String?
  /// How vmlinux and recording were matched, in words.
  public var match: String
  public var generation: Generation?
  /// What the generation rests on: "vmlinux", "--generation", "release 6.1.0 (weak)".
  public var generationBasis: String
  public var marks: [Mark] = []
  public var usesPointerAuth: Bool?
  /// Source of the code a rule is about, by rule id.
  public var sources: [String: SourcePlace] = [:]

  public struct Mark: Sendable {
    public var description: String
    public var outcome: String
    public var isConsistent: Bool
    public init(description: String, outcome: String, isConsistent: Bool) {
      self.description = description
      self.outcome = outcome
      self.isConsistent = isConsistent
    }
  }

  public init(match: String, generation: Generation?, generationBasis: String) {
    self.match = match
    self.generation = generation
    self.generationBasis = generationBasis
  }
}

/// A function of the kernel and the line of its source.
public struct SourcePlace: Sendable, Hashable, CustomStringConvertible {
  public var function: String
  /// Relative to the root of the kernel tree.
  public var file: String
  /// From 1.
  public var line: Int

  public init(function: String, file: String, line: Int) {
    self.function = function
    self.file = file
    self.line = line
  }

  public var description: String { "\(function) (\(file):\(line))" }
}
