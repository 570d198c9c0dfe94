import Testing
import Trace

/// Recordings whose recorder was killed, read with the formats of another place.
struct SuppliedFormatTests {
  private static let recording =
    Corpus.recordings.first { $0.contains("v7-trap-skips-host-save") } ?? ""

  /// `path` as a killed perf leaves it: no size of the data, no sections.
  private static func killed(_ path: String) throws -> [UInt8] {
    var file = try bytes(path)
    let end = Int(PerfPieces.number(file, 40, 8) + PerfPieces.number(file, 48, 8))
    for place in 48..<56 { file[place] = 0 }
    return Array(file[..<end])
  }

  private static func events(_ path: String, formats: String? = nil) throws -> [String] {
    var file = try PerfDataFile(path: path, formats: formats)
    var events: [String] = []
    try file.readEvents { events.append("\($0.time) \($0.cpu) \($0.tid) \($0.payload)") }
    return events
  }

  @Test
  func formatsOfAnotherRecording() throws {
    let killed = TemporaryFile(try Self.killed(Self.recording))
    let found = try Self.events(killed.path, formats: Self.recording)
    #expect(found == (try Self.events(Self.recording)))
    let without = try Self.events(killed.path)
    #expect(found.count > without.count + 1000)
    let file = try PerfDataFile(path: killed.path, formats: Self.recording)
    #expect(file.recording.warnings.contains { $0.contains("matched by number alone") })
    #expect(!file.recording.warnings.contains { $0.contains("no event formats") })
  }

  /// The files of tracefs, copied while this was recorded, as `kvm/kvm_entry.format`.
  @Test(.enabled(if: Corpus.isPresent, "needs ../shared"))
  func formatsOfADirectory() throws {
    let path = Corpus.root + "/recordings/v7/good/perf.data"
    let killed = TemporaryFile(try Self.killed(path))
    let formats = Corpus.root + "/recordings/v7/good/text/formats"
    #expect(try Self.events(killed.path, formats: formats) == Self.events(path))
  }

  @Test
  func formatsAsInTracefs() throws {
    let folder = TemporaryFolder()
    folder.write("events/header_page", Array("\tfield: local_t commit;\toffset:8;\tsize:8;\n".utf8))
    folder.write("events/kvm/kvm_entry/format", Array(Formats.entry.utf8))
    folder.write("events/kvm/enable", Array("1\n".utf8))
    var builder = PerfDataBuilder()
    builder.hasFeatures = false
    let attribute = PerfDataBuilder.Attribute(
      config: UInt64(Formats.entryID), sampleType: PerfDataBuilder.Sample.usual)
    builder.attributes = [attribute]
    builder.sample(attribute, time: 3, raw: Formats.entryRaw(pc: 0x77))
    let file = TemporaryFile(builder.bytes())
    for place in [folder.path, folder.path + "/events"] {
      let events = try Self.events(file.path, formats: place)
      #expect(events.count == 1)
      #expect(events.first?.contains("119") == true)
    }
    // What the recording has itself is not replaced.
    builder.hasFeatures = true
    let own = TemporaryFile(builder.bytes())
    let recording = try PerfDataFile(path: own.path, formats: folder.path).recording
    #expect(recording.warnings == [])
  }

  /// A stream names its events, so a wrong number is noticed.
  @Test
  func formatsOfAnotherNameAreNotUsed() throws {
    var builder = PerfDataBuilder()
    let attribute = PerfDataBuilder.Attribute(
      config: UInt64(Formats.entryID), sampleType: PerfDataBuilder.Sample.usual, ids: [5])
    builder.attributes = [attribute]
    var update = ByteWriter()
    update.add(UInt64(2))
    update.add(UInt64(5))
    update.text("sched:sched_waking")
    builder.record(RecordKind.eventUpdate, update.bytes)
    builder.sample(attribute, time: 3, raw: Formats.entryRaw(pc: 0x77))
    var pieces = PerfPieces(builder.bytes())
    pieces.sections = []
    let folder = TemporaryFolder()
    folder.write("kvm/kvm_entry/format", Array(Formats.entry.utf8))
    let stream = TemporaryFile(pieces.pipeMode())
    let file = try PerfDataFile(path: stream.path, formats: folder.path)
    #expect(
      file.recording.warnings.contains {
        $0.contains("event 55 is sched:sched_waking in the recording and kvm:kvm_entry in")
      })
    #expect(try Self.events(stream.path, formats: folder.path).isEmpty)
  }

  @Test
  func aPlaceWithoutFormatsIsRefused() throws {
    let folder = TemporaryFolder()
    let error = #expect(throws: TraceError.self) {
      _ = try PerfDataFile(path: Self.recording, formats: folder.path)
    }
    #expect(error?.path == folder.path)
    guard case .hasNoFormats = error?.code else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  // MARK: Found without being told

  private static func found(_ path: String) throws -> (events: [String], recording: Recording) {
    let file = try RecordingFile(path: path)
    var events: [String] = []
    try file.readEvents { events.append("\($0.time) \($0.cpu) \($0.tid) \($0.payload)") }
    return (events, file.recording)
  }

  /// A folder with the killed recording, and files of others beside it.
  private static func folder(_ others: String...) throws -> TemporaryFolder {
    let folder = TemporaryFolder()
    folder.write("killed.data", try killed(recording))
    for (number, path) in others.enumerated() {
      folder.write("other\(number).data", try #require(Command.bytes(path)))
    }
    return folder
  }

  @Test
  func formatsOfASiblingAreFoundAndSaid() throws {
    let folder = try Self.folder(Self.recording)
    let (events, recording) = try Self.found(folder.path + "/killed.data")
    // A probe that was never hit cannot be known to be the same, and is not needed.
    #expect(events == (try Self.events(Self.recording)))
    #expect(recording.isIncomplete)
    #expect(
      recording.warnings.contains {
        $0.contains("come from \(folder.path)/other0.data") && $0.contains("fit by number, size")
      })
    // Told formats are not looked for.
    let told = try RecordingFile(path: folder.path + "/killed.data", formats: Self.recording)
    #expect(!told.recording.warnings.contains { $0.contains("other0.data") })
  }

  /// The other kernel numbers its events otherwise.
  @Test
  func formatsOfAnotherKernelAreNotUsed() throws {
    let other = try #require(Corpus.recordings.first { $0.contains("deb-6.1-good") })
    let folder = try Self.folder(other)
    let (events, recording) = try Self.found(folder.path + "/killed.data")
    #expect(events == (try Self.events(folder.path + "/killed.data")), "as without any")
    #expect(recording.warnings.contains { $0.contains("no event formats") })
  }

  /// A trace.dat of the same boot has the formats, and does not show where its probes are.
  @Test
  func ofATraceDatTheProbesAreNotUsed() throws {
    let folder = try Self.folder(try #require(Corpus.traceDats.first))
    let (events, recording) = try Self.found(folder.path + "/killed.data")
    let all = try Self.events(Self.recording)
    #expect(events == all.filter { !$0.contains(" probe(") })
    #expect(recording.warnings.contains { $0.contains("other0.data has no format for") })
  }

  /// Formats that lie beside it, of the same numbers, with one field more.
  @Test
  func recordsOfAnotherSizeRefuseTheFormats() throws {
    var builder = PerfDataBuilder()
    builder.hasFeatures = false
    let attribute = PerfDataBuilder.Attribute(
      config: UInt64(Formats.entryID), sampleType: PerfDataBuilder.Sample.usual)
    builder.attributes = [attribute]
    builder.sample(attribute, time: 3, raw: Formats.entryRaw(pc: 0x77))
    let folder = TemporaryFolder()
    folder.write("perf.data", builder.bytes())
    folder.write("formats/kvm/kvm_entry.format", Array(Formats.entry.utf8))
    #expect(try Self.found(folder.path + "/perf.data").events.count == 1)
    let field = "\tfield:u64 more[2];\toffset:16;\tsize:16;\tsigned:0;\n\nprint fmt"
    folder.replace(
      "formats/kvm/kvm_entry.format",
      Array(Formats.entry.replacing("\nprint fmt", with: field).utf8))
    #expect(try Self.found(folder.path + "/perf.data").events.isEmpty)
  }

  @Test(.enabled(if: Corpus.isPresent, "needs ../shared"))
  func theKilledFixtureIsRecovered() throws {
    let path = Corpus.root + "/fixtures/x86-edge-cases/perf/killed.perf.data"
    let (events, recording) = try Self.found(path)
    #expect(events.count { $0.contains("schedSwitch") } == 104)
    #expect(recording.recordedEvents.reduce(0) { $0 + $1.count } == 10034)
    #expect(recording.warnings.contains { $0.contains("formats of 4 events come from") })
    #expect(recording.isIncomplete)
  }
}
