import Bytes
import KernelImage
package import Ptrauth
package import Replay
package import Report
package import Trace

/// One recording with the kernel that was recorded, ready to be replayed.
package final class Session {
  package let file: RecordingFile
  /// Of a stream.
  let watch: StreamWatch?
  let kernel: KernelChoice
  package let generation: Generation?
  private let generationBasis: String
  private let schemeBasis: SchemeBasis
  /// Why there is nothing to judge in a recording of another architecture.
  let foreignness: String?
  /// Guest entries that were decoded.
  private(set) var entriesRead: UInt64 = 0
  private var warnings: [String] = []
  /// Why samples of executed instructions say nothing, or what they alone can say.
  var instructionRemark: String?
  /// Of the recorded host, with their recordings.
  var guests: [GuestFacts] = []
  /// All events were read once: what was hit is known.
  private var isSurveyed = false
  /// pCPUs without an event where tasks ran.
  private var omittedCPUs = 0
  /// Long replays say on a terminal how far they are.
  var showsProgress = false
  /// The kernel's code is judged too.
  package var auditsCode = true
  /// What of it is shown; nil: all.
  package var filter: Filter?
  /// What the recording makes of it, once all of it was read.
  private var scope: Scope?
  /// Threads that may be used.
  package var jobs = ProcessState.usableProcessors
  /// How many load intervals the policy with hysteresis remembers.
  var hysteresis = Hysteresis.defaultDepth

  /// - Parameter guests: recordings of its guests, made at the same time.
  convenience init(
    recording path: String, _ options: KernelOptions, guests: [String] = []
  ) throws(Problem) {
    try self.init(
      recording: path, vmlinux: options.vmlinux, generation: options.generation,
      formats: options.formats, types: options.types, isOffline: options.offline)
    jobs = options.speed.jobs
    takeGuests(guests)
  }

  /// - Parameters:
  ///   - vmlinux: `--vmlinux`; nil to look for one.
  ///   - generation: `--generation`, validated.
  ///   - formats: `--formats`.
  ///   - types: `--btf` and `--all-units`.
  ///   - isOffline: `--offline`.
  package init(
    recording path: String, vmlinux: String? = nil, generation named: String? = nil,
    formats: String? = nil, types: TypeOptions? = nil, isOffline: Bool = false
  ) throws(Problem) {
    // Asked for, though nothing may need them.
    for (option, path) in [("--formats", formats), ("--btf", types?.btf)] {
      guard let path else { continue }
      guard SystemFile.exists(path) else {
        throw Problem("\(option) \(path): there is no such file")
      }
      if ByteStream.isStream(path) {
        throw Problem("\(option) \(path): is a FIFO or a device; give a file")
      }
    }
    let file: RecordingFile
    let watch = RecordingFile.isStream(path) ? StreamWatch(takesSignals: true) : nil
    do { file = try RecordingFile(path: path, formats: formats, watch: watch) } catch {
      throw Problem("\(error)")
    }
    // A packed stream has been read to its end.
    self.watch = file.canReread ? nil : watch
    self.file = file
    foreignness = file.recording.foreignness
    if let foreignness {
      kernel = .none
      generation = nil
      schemeBasis = .release
      generationBasis = foreignness
      return
    }
    kernel = try KernelChoice(
      explicit: vmlinux, recording: file.recording, types: types, isOffline: isOffline)
    let marked = kernel.evidence?.marked
    let asked = named.flatMap { Generation(named: $0) }
    if let asked {
      if let evidence = kernel.evidence, let image = kernel.binding?.image {
        _ = try GenerationOptions.agreed(named, evidence, image.path)
      }
      generation = asked
      schemeBasis = marked?.id == asked.id ? .code : .named
      generationBasis = "--generation"
    } else if let marked {
      generation = marked
      schemeBasis = .code
      generationBasis = kernel.binding?.image.path.lastComponent ?? "vmlinux"
    } else if let release = file.recording.osRelease, let weak = Generation(release: release) {
      generation = weak
      schemeBasis = .release
      generationBasis = "the release \(release) alone (weak: trees carry backports)"
    } else {
      generation = nil
      schemeBasis = .release
      generationBasis = Self.whyUnknown(file.recording.osRelease, kernel.binding?.image.path)
    }
    warnings += kernel.warnings
  }

  /// Why no generation is known, and what would tell.
  private static func whyUnknown(_ release: String?, _ vmlinux: String?) -> String {
    let remedy = vmlinux == nil ? "pass -k vmlinux or --generation" : "pass --generation"
    let marks = vmlinux.map { "the marks of \($0.lastComponent) fit none" } ?? "no vmlinux"
    guard let release else { return "\(marks), no release; \(remedy)" }
    return
      "\(marks), and the release \(release) is none that switches keys: KVM does from 5.0 on, before only "
      + "where the patch was carried back; \(remedy)"
  }

  /// The kernel laid under the recording.
  package var binding: KernelBinding? { kernel.binding }

  /// The recording can be replayed more than once: false for a pipe.
  var canReread: Bool { file.canReread }

  /// Runs the recording through the model.
  ///
  /// Which of its events were recorded, and where, is known only when all were read: where that changes what may be
  /// concluded, it is run again. A timeline is then of the last run alone: the first is silent.
  package func replay(
    shadowIsNotLive: Bool = false, timeline: ((TimelineEntry) -> Void)?
  ) throws(Problem) -> Analysis {
    try requireArm64()
    return try survey(shadowIsNotLive: shadowIsNotLive, timeline: timeline)
  }

  /// Throws if there is nothing to judge.
  func requireArm64() throws(Problem) {
    if let foreignness { throw Problem("\(file.recording.path): \(foreignness)") }
  }

  /// The same, of a recording in which there is nothing to judge too.
  func survey(
    shadowIsNotLive: Bool = false, timeline: ((TimelineEntry) -> Void)? = nil
  ) throws(Problem) -> Analysis {
    if filter != nil, !canReread {
      throw Problem(
        "\(file.recording.path) is read once, and what is to be shown of it is chosen when all was seen; write it to "
          + "a file")
    }
    if isStream { return try replayStream(timeline: timeline ?? { _ in }) {} }
    if !isSurveyed {
      let assumed = configuration(shadowIsNotLive)
      let analysis = try pass(assumed, timeline: nil)
      isSurveyed = true
      omittedCPUs = analysis.unrecordedCPUs.count
      scope = try filter?.scope(in: analysis, file.recording.path)
      let found = configuration(shadowIsNotLive)
      if timeline == nil, filter == nil, found.showsTheSame(as: assumed) { return analysis }
    }
    return try pass(configuration(shadowIsNotLive), timeline: timeline)
  }

  private func pass(
    _ configuration: Replayer.Configuration, timeline: ((TimelineEntry) -> Void)?
  ) throws(Problem) -> Analysis {
    var replayer = Replayer(configuration, timeline: timeline)
    let counter = instructionCounter()
    var progress = Progress(isWanted: showsProgress)
    defer { progress.end() }
    do {
      try file.readEvents(jobs: jobs, instructions: counter?.take) {
        note($0)
        replayer.consume($0)
        counter?.note($0)
        progress.step()
      }
    } catch { throw Problem("\(error)") }
    var analysis = replayer.finish(
      isCut: file.recording.isIncomplete, lostSamples: file.losses.samples)
    finish(counter, &analysis)
    analysis.name(file.recording.threadNames)
    return analysis
  }

  func note(_ event: borrowing Event) {
    if case .entry = event.occurrence { entriesRead += 1 }
  }

  /// Runs other events than the recording's own through the model.
  package func replay(_ events: [Event], timeline: ((TimelineEntry) -> Void)?) -> Analysis {
    var replayer = Replayer(configuration(false), timeline: timeline)
    for event in events { replayer.consume(event) }
    return replayer.finish()
  }

  package func configuration(_ shadowIsNotLive: Bool) -> Replayer.Configuration {
    var configuration = Replayer.Configuration()
    configuration.generation = generation
    configuration.schemeBasis = schemeBasis
    configuration.kernelUsesPointerAuth = kernel.binding?.image.kernelUsesPointerAuth
    configuration.shadowIsNotLive = shadowIsNotLive
    configuration.recordedEvents = file.recording.shownEvents
    configuration.isDamaged = file.recording.isDamaged
    configuration.omissions = file.recording.omissions
    configuration.omissions.cpus = max(configuration.omissions.cpus, omittedCPUs)
    if let binding = kernel.binding { configuration.resolve = binding.function(at:) }
    configuration.hysteresis = hysteresis
    configuration.scope = scope
    for guest in file.recording.guests {
      for (number, thread) in guest.threads { configuration.vcpuNumbers[thread] = number }
    }
    configuration.tailsMayBeMissing = file.recording.commandLine.contains("-z")
    return configuration
  }

  /// What the reports show of an analysis of this session.
  package func document(_ replayed: Analysis) throws(Problem) -> Document {
    let recording = file.recording
    var analysis = replayed
    var facts = RecordingFacts(
      path: recording.path, format: recording.format, byteCount: recording.byteCount,
      clock: recording.clock)
    facts.osRelease = recording.osRelease
    facts.architecture = recording.architecture
    facts.cpusOnline = recording.cpusOnline
    facts.commandLine = recording.commandLine
    facts.events = recording.recordedEvents.map { ($0.label, $0.count) }
    facts.lostSamples = file.losses.samples
    facts.isIncomplete = recording.isIncomplete
    facts.warnings = recording.warnings + warnings
    facts.guests = guests
    for guest in guests {
      facts.warnings += (guest.recording?.warnings ?? []).map { "\(guest.name): \($0)" }
    }
    let obstacle = analysis.verdict == .unusable ? whyUnusable(recording) : nil
    if let obstacle { facts.warnings.append(obstacle) }
    if replayed.leavesOutTasks {
      facts.warnings.append(
        "only some tasks were recorded: of vCPUs in other threads nothing is said, and nothing is concluded from their silence"
      )
    }
    var kernelFacts = KernelFacts(
      match: try kernel.check(analysis.probeAddresses, analysis.probeSymbols),
      generation: generation,
      generationBasis: generationBasis)
    analysis.take(judgeCode())
    if let image = kernel.binding?.image {
      kernelFacts.path = image.path
      kernelFacts.buildID = image.buildID.map(hexadecimal)
      kernelFacts.usesPointerAuth = image.kernelUsesPointerAuth
      for finding in analysis.findings {
        if finding.level == .static {
          let place = finding.code.lazy.compactMap { SourcePlace($0) }.first
          if kernelFacts.sources[finding.rule.id] == nil {
            kernelFacts.sources[finding.rule.id] = place
          }
          if place != nil { continue }
        }
        if let source = kernel.binding?.source(ofFirst: finding.rule.symbols) {
          kernelFacts.sources[finding.rule.id] = SourcePlace(
            function: source.symbol, file: source.location.file, line: source.location.line)
        }
      }
    }
    kernelFacts.recordedBuildID = recording.kernelBuildID.map(hexadecimal)
    kernelFacts.marks = (kernel.evidence?.marks ?? []).map {
      KernelFacts.Mark(
        description: $0.description, outcome: $0.outcome.rawValue, isConsistent: $0.consistent)
    }
    var document = Document(recording: facts, kernel: kernelFacts, analysis: analysis)
    document.obstacle = obstacle
    return document
  }
}

/// A build-id as file(1) prints it.
func hexadecimal(_ bytes: [UInt8]) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

extension String {
  /// The file's name without its directories.
  var lastComponent: String { split(separator: "/").last.map(String.init) ?? self }
  /// The directory a file lies in.
  var directory: String {
    guard let slash = lastIndex(of: "/") else { return "." }
    return slash == startIndex ? "/" : String(self[..<slash])
  }
}
