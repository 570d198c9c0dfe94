/// What a recording says about itself: everything but its events.
public struct Recording: Sendable {
  public var path: String
  /// "perf.data", with its mode: "perf.data file mode", ...
  public var format: String
  /// Size of the file in bytes.
  public var byteCount: UInt64
  /// "perf" (local_clock), "CLOCK_MONOTONIC", ...
  public var clock: String
  /// False when the clock counts something else (CPU cycles, events, jiffies): then every time of
  /// the recording is in its ticks.
  public var clockIsInNanoseconds = true
  /// `uname -r` of the recorded host, where the recording has it.
  public var osRelease: String?
  /// `uname -m` of the recorded host.
  public var architecture: String?
  /// pCPUs online when the recording was made.
  public var cpusOnline: Int?
  /// The command line of the recorder.
  public var commandLine: [String] = []
  /// GNU build-id of the recorded kernel.
  public var kernelBuildID: [UInt8]?
  /// Run-time address of the kernel's relocation symbol (`_text` or `_stext`), from the kernel's
  /// PERF_RECORD_MMAP, with that symbol's name: the KASLR slide is the difference to vmlinux.
  public var kernelText: (symbol: String, address: UInt64)?
  /// Every event that was recorded (subscribed), by "system:name", hits or none.
  public var recordedEvents: [RecordedEvent] = []
  /// What of it the recorder left out.
  public var omissions = Omissions()
  /// Those of them whose samples say which instructions ran.
  public var instructionSources: [InstructionSource] = []
  /// Parts of an instruction trace that the CPU or the recorder dropped, or that could not be decoded, as the
  /// recording says; known after reading.
  public var instructionGaps: UInt64 = 0
  /// Names of threads by thread id, as the kernel saved or told them; known after
  /// reading. Text has none here.
  public var threadNames: [Int32: String] = [:]
  /// Guests that the recorder knew, with the host threads that run their vCPUs; trace-cmd writes them
  /// when it records a guest too.
  public var guests: [RecordedGuest] = []
  /// The recorder's own number of this recording, by which others of the same session name it.
  public var traceID: UInt64?
  /// A guest's recording: the number of its host's.
  public var hostTraceID: UInt64?
  /// Its times are those of the host's clock, as the recorder measured it.
  public var hasHostTimes = false
  /// The file ends before its data does, or its writer was killed.
  public var isIncomplete: Bool = false
  /// It holds what no recorder writes: bytes of it were changed since, and nothing says which others. Known after
  /// reading.
  public private(set) var isDamaged = false
  /// Sentences for the user, in the order met.
  public var warnings: [String] = []

  /// The events that were certainly recorded: those that were hit. A format or an attribute alone proves nothing (a
  /// trace.dat may have the formats of all events, and an event may be opened and never enabled). Before the events
  /// were read nothing is counted, and all may be.
  public var shownEvents: [RecordedEvent] {
    let shown = recordedEvents.filter { $0.count > 0 }
    return shown.isEmpty ? recordedEvents : shown
  }

  /// What was found is no work of a recorder, and what it stood for is lost.
  mutating func noteDamage() {
    guard !isDamaged else { return }
    isDamaged = true
    isIncomplete = true
    warnings.append(
      "bytes of this recording were changed after they were recorded, and others may be too: what is found "
        + "in it is suspected at most; copy or record it again")
  }

  /// Bytes behind the recording's own, from byte `offset` of the file on.
  mutating func note(more byteCount: UInt64, at offset: UInt64) {
    isIncomplete = true
    warnings.append(
      "\(byteCount) bytes follow the recording in its file, from byte \(offset) on, and are not read: if they are "
        + "another recording, cut it off there and analyze it by itself")
  }

  public init(path: String, format: String, byteCount: UInt64, clock: String) {
    self.path = path
    self.format = format
    self.byteCount = byteCount
    self.clock = clock
  }
}

/// One event of a recording's event list, and how often it was seen.
public struct RecordedEvent: Sendable {
  public var system: String
  public var name: String
  /// Its format has `__probe_ip` or `__probe_func`; text: its lines start with a probe's place.
  public var isProbe: Bool
  /// Its hits have a ``ProbeHit/symbol``.
  public var namesItsFunction = false
  /// Names of its fields other than the common ones, in record order.
  public var fields: [String]
  /// Samples decoded.
  public var count: UInt64 = 0
  /// "system:name"; events that are no tracepoints have no system.
  public var label: String { system.isEmpty ? name : "\(system):\(name)" }

  public init(system: String, name: String, isProbe: Bool, fields: [String]) {
    self.system = system
    self.name = name
    self.isProbe = isProbe
    self.fields = fields
  }
}

/// A guest as the recorder described it.
public struct RecordedGuest: Sendable, Equatable {
  public var name: String
  /// Thread id on the host by vCPU number.
  public var threads: [Int32: Int32]
  /// ``Recording/traceID`` of the guest's own recording.
  public var traceID: UInt64

  public init(name: String, threads: [Int32: Int32], traceID: UInt64 = 0) {
    self.name = name
    self.threads = threads
    self.traceID = traceID
  }
}

/// Events the recorder could not write, as the recording itself counts them.
public struct Losses: Sendable, Equatable {
  /// PERF_RECORD_LOST and kin, or a ring buffer's own counters: events lost, by pCPU; 0: lost, and how
  /// many is not said (text).
  public var byCPU: [Int32: UInt64] = [:]
  /// PERF_RECORD_LOST_SAMPLES: written at the end, by event, without a place in time.
  /// The kernel counts them per event, those of PERF_RECORD_LOST included: do not add the two.
  /// trace.dat: those of ``byCPU`` that no ``Event/Payload/lost(count:)`` stands for.
  /// Text: entries written minus entries in the buffer, the oldest having been overwritten.
  public var samples: UInt64 = 0
  /// The part of ``samples`` whose pCPU is known, by pCPU.
  public var samplesByCPU: [Int32: UInt64] = [:]
  public var isEmpty: Bool { byCPU.isEmpty && samples == 0 }
  public init() {}
}
