import Testing
import Trace

/// Raw ring buffers, as a shell in tracefs copies them.
struct RawBufferTests {
  /// The dumps of a built recording, with what describes them beside; and the trace.dat of the same.
  struct Built {
    let folder = TemporaryFolder()
    var file = TraceDatBuilder()
    /// How a dump is called, by CPU.
    var name: (UInt32) -> String = { "cpu\($0).trace_pipe_raw" }
    var stats: [UInt32: String] = [:]

    init(_ file: TraceDatBuilder) { self.file = file }

    func write(_ pack: ([UInt8]) -> [UInt8] = { $0 }) {
      for cpu in file.instances[0].cpus {
        folder.write(name(cpu.number), pack(cpu.pages.flatMap(\.self)))
      }
      folder.write("events/header_page", Array(Self.header(file.longSize).utf8))
      folder.write("events/kvm/kvm_entry/format", Array(Formats.entry.utf8))
      folder.write("events/kvm/kvm_exit/format", Array(Formats.exit.utf8))
      folder.write("trace_clock", Array("local [\(file.instances[0].clock)] counter\n".utf8))
      folder.write("saved_cmdlines", Array("7 vcpu 0\n".utf8))
    }

    static func header(_ longSize: Int, pageSize: Int = 4096) -> String {
      "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
        + "\tfield: local_t commit;\toffset:8;\tsize:\(longSize);\tsigned:1;\n"
        + "\tfield: char data;\toffset:\(8 + longSize);\tsize:\(pageSize - 8 - longSize);\tsigned:1;\n"
    }
  }

  /// What reading a folder gives.
  struct Outcome {
    var lines: [String] = []
    var recording: Recording
    var losses: Losses

    init(_ path: String, formats: String? = nil) throws(TraceError) {
      let reader = try RecordingFile(path: path, formats: formats)
      var events: [Event] = []
      try reader.readEvents { event in events.append(copy event) }
      lines = events.map { event in
        switch event.payload {
        case .entry(let pc): "\(event.time) \(event.cpu) \(event.tid) \(pc)"
        case .lost(let count): "\(event.time) \(event.cpu) lost \(count)"
        default: "\(event.time) \(event.cpu) other"
        }
      }
      recording = reader.recording
      losses = reader.losses
    }
  }

  @Test func aDumpUnderAnotherCPUsNameIsRefused() throws {
    var built = Built(Self.builder())
    built.file.add(9, built.file.instances[0].cpus[0].pages)
    built.write()
    let error = #expect(throws: TraceError.self) { _ = try Outcome(built.folder.path) }
    #expect(error?.description.contains("cpu9.trace_pipe_raw begins as ") == true)
  }

  @Test func aPageThatIsThereTwiceIsReadOnce() throws {
    func page(_ time: UInt64) -> [UInt8] {
      var page = PageBuilder(time: time)
      page.entry(after: 0, pc: time)
      page.entry(after: 10, pc: time + 1)
      return page.bytes()
    }
    var file = TraceDatBuilder()
    file.add(0, [page(1000), page(2000)])
    let whole = Built(file)
    whole.write()
    let expected = try Outcome(whole.folder.path)
    var twice = whole.file
    let cpu = twice.instances[0].cpus[0]
    twice.instances[0].cpus[0].pages = cpu.pages + cpu.pages
    let built = Built(twice)
    built.write()
    let found = try Outcome(built.folder.path)
    #expect(
      found.lines.filter { !$0.contains("lost") } == expected.lines.filter { !$0.contains("lost") })
    #expect(found.recording.isIncomplete || !found.losses.isEmpty)
    #expect(found.recording.warnings.contains { $0.contains("it is there twice") })
  }

  static func builder(longSize: Int = 8) -> TraceDatBuilder {
    var first = PageBuilder(time: 1000, longSize: longSize)
    first.entry(after: 0, pc: 1)
    first.timeExtend(0x1234_5678)
    first.sizedEntry(after: 4, pc: 2)
    var second = PageBuilder(time: 0x2345_6789, missed: 4, longSize: longSize)
    second.entry(after: 0, pc: 3)
    var file = TraceDatBuilder()
    file.longSize = longSize
    file.instances[0].clock = "mono"
    file.add(0, [first.bytes(), second.bytes()])
    file.add(11, [second.bytes()])
    return file
  }

  private static let names: [@Sendable (UInt32) -> String] = [
    { "cpu\($0).trace_pipe_raw" }, { "cpu\($0)/trace_pipe_raw" },
    { "per_cpu/cpu\($0)/trace_pipe_raw" }, { "trace_pipe_raw.cpu\($0)" },
    { "per_cpu/cpu\($0)/snapshot_raw" },
  ]

  @Test(arguments: names.indices, [8, 4])
  func everyLayoutHoldsWhatTheTraceDatHolds(number: Int, longSize: Int) throws {
    let file = Self.builder(longSize: longSize)
    var built = Built(file)
    built.name = Self.names[number]
    built.write()
    let container = TemporaryFile(file.version7())
    let expected = try Outcome(container.path)
    let found = try Outcome(built.folder.path)
    #expect(found.lines == expected.lines && found.lines.count == 6)
    #expect(found.losses == expected.losses && found.losses.byCPU == [0: 4, 11: 4])
    #expect(found.recording.format == "raw ring buffers")
    #expect(found.recording.clock == "mono" && found.recording.cpusOnline == 2)
    #expect(found.recording.threadNames == [7: "vcpu 0"])
    #expect(found.recording.warnings == [] && !found.recording.isIncomplete)
    #expect(found.recording.recordedEvents.map(\.count) == [0, 4])
    // The folder of the dumps, with all that describes them above it.
    if number == 2 {
      #expect(try Outcome(built.folder.path + "/per_cpu").lines == found.lines)
    }
  }

  @Test(arguments: ["gzip", "xz", "zstd"])
  func dumpsMayBePacked(program: String) throws {
    let built = Built(Self.builder())
    built.write()
    let plain = try Outcome(built.folder.path)
    for cpu in [0, 11] {
      _ = try #require(
        Command.output("\(program) -q '\(built.folder.path)/cpu\(cpu).trace_pipe_raw'"))
    }
    _ = Command.output("rm -f '\(built.folder.path)'/*_raw")
    let packed = try Outcome(built.folder.path)
    #expect(packed.lines == plain.lines)
    #expect(packed.recording.format == "raw ring buffers, packed with \(program)")
    #expect(packed.recording.byteCount == plain.recording.byteCount)
  }

  @Test func theStatisticsTellWhatWasLost() throws {
    let built = Built(Self.builder())
    built.write()
    let text = "entries: 0\noverrun: 9\ncommit overrun: 0\ndropped events: 2\nread events: 3\n"
    built.folder.write("cpu0.stats", Array(text.utf8))
    let outcome = try Outcome(built.folder.path)
    #expect(outcome.losses.byCPU == [0: 11, 11: 4])
    #expect(outcome.lines.contains("\(0x2345_6789) 0 lost 6"))
    #expect(outcome.losses.samplesByCPU == [0: 5])
  }

  /// The page is as large as the kernel's header_page says, of 16 KiB pages and sub-buffers too.
  @Test func pagesOfAnotherSize() throws {
    let pages = ([5, 1000] as [UInt64]).map { time in
      var page = PageBuilder(time: time)
      for _ in 0..<500 { page.entry(after: 1, pc: 9) }
      return page.bytes(size: 16384)
    }
    let built = Built(TraceDatBuilder())
    built.write()
    built.folder.write("cpu3.trace_pipe_raw", pages[0] + pages[1])
    let formats = TemporaryFolder()
    formats.write("header_page", Array(Built.header(8, pageSize: 16384).utf8))
    formats.write("kvm/kvm_entry.format", Array(Formats.entry.utf8))
    let outcome = try Outcome(built.folder.path, formats: formats.path)
    #expect(outcome.lines.count == 1000)
    #expect(outcome.recording.warnings.first?.contains(formats.path) == true, "says where from")
    #expect(!outcome.recording.isIncomplete)
    // No ring buffer goes back in time.
    built.folder.replace("cpu3.trace_pipe_raw", pages[1] + pages[0])
    let turned = try Outcome(built.folder.path, formats: formats.path)
    #expect(turned.recording.isDamaged && turned.recording.isIncomplete)
    built.folder.replace("cpu3.trace_pipe_raw", pages[0] + pages[1])
    // With the other header_page it is no such buffer, and that is said.
    let wrong = try Outcome(built.folder.path)
    #expect(!wrong.losses.isEmpty && !wrong.recording.warnings.isEmpty)
  }

  @Test func countersAreNotCalledNanoseconds() throws {
    var file = Self.builder()
    file.instances[0].clock = "counter"
    let built = Built(file)
    built.write()
    let outcome = try Outcome(built.folder.path)
    #expect(!outcome.recording.clockIsInNanoseconds)
    #expect(outcome.recording.clock == "counter in events")
  }

  @Test func whatIsMissingIsSaid() throws {
    let folder = TemporaryFolder()
    func error(_ path: String) -> TraceError? {
      do throws(TraceError) {
        _ = try Outcome(path)
        return nil
      } catch {
        return error
      }
    }
    #expect(error(folder.path)?.code == .isDirectory)
    folder.write("per_cpu/cpu0/trace_pipe_raw", [])
    #expect(error(folder.path)?.code == .hasNoRawData)
    #expect(error(folder.path)?.path == folder.path)
    folder.write("per_cpu/cpu1/trace_pipe_raw", PageBuilder(time: 1).bytes())
    guard case .hasNoFormats = error(folder.path)?.code else {
      Issue.record("read without formats")
      return
    }
    let dump = error(folder.path + "/per_cpu/cpu1/trace_pipe_raw")
    #expect(dump?.code == .isRawBuffer)
  }

  /// What a killed trace-cmd record leaves is read, with event formats from elsewhere.
  @Test func filesOfAKilledRecorderAreRead() throws {
    let built = Built(Self.builder())
    built.write()
    let expected = try Outcome(built.folder.path)
    let left = TemporaryFolder()
    for cpu in built.file.instances[0].cpus {
      left.write("trace.dat.cpu\(cpu.number)", cpu.pages.flatMap(\.self))
    }
    func error(_ path: String) -> String {
      do throws(TraceError) {
        _ = try Outcome(path)
        return ""
      } catch { return "\(error)" }
    }
    #expect(error(left.path).contains("leaves when it is killed"))
    #expect(error(left.path).contains("--formats"))
    #expect(error(left.path + "/trace.dat.cpu0").contains("pass the directory"))
    let whole = TemporaryFile(Self.builder().version7())
    for formats in [built.folder.path + "/events", whole.path] {
      let outcome = try Outcome(left.path, formats: formats)
      #expect(outcome.lines == expected.lines)
      #expect(outcome.recording.isIncomplete)
      #expect(outcome.recording.warnings.contains { $0.contains("was killed") })
    }
    // Another recording's beside it is not mixed in.
    left.write("other.dat.cpu3", built.file.instances[0].cpus[0].pages[0])
    let outcome = try Outcome(left.path, formats: whole.path)
    #expect(outcome.recording.warnings.contains { $0.contains("1 more recording") })
  }

  @Test func aCutDumpIsIncomplete() throws {
    let built = Built(Self.builder())
    built.write { Array($0.dropLast(4000)) }
    let outcome = try Outcome(built.folder.path)
    #expect(outcome.recording.isIncomplete)
    #expect(outcome.recording.warnings.contains { $0.contains("CPU 0 ends inside of a page") })
    #expect(outcome.lines.contains { $0.hasPrefix("1000 0 7") })
  }

  /// Every byte can be wrong: no crash, no hang, and a sentence.
  @Test(arguments: 0..<12 as Range<UInt64>)
  func hostile(seed: UInt64) {
    print("SplitMix(state: \(seed))")
    var random = SplitMix(state: seed)
    let parts = [
      "cpu0.trace_pipe_raw", "cpu11.trace_pipe_raw", "events/header_page",
      "events/kvm/kvm_entry/format", "trace_clock",
    ]
    let built = Built(Self.builder())
    built.write()
    let whole = parts.map { Command.bytes(built.folder.path + "/" + $0) ?? [] }
    for _ in 0..<40 {
      for (name, bytes) in zip(parts, whole) {
        var bytes = bytes
        if Int.random(in: 0..<3, using: &random) == 0 {
          bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random)))
        }
        for _ in 0..<Int.random(in: 0...5, using: &random) where !bytes.isEmpty {
          // Most of a page is nothing: its head is what counts.
          let place = Int.random(in: 0..<min(bytes.count, 120), using: &random)
          bytes[place] =
            [0, 0xff, 0x80, UInt8.random(in: 0...255, using: &random)]
            .randomElement(using: &random) ?? 0
        }
        built.folder.replace(name, bytes)
      }
      do throws(TraceError) {
        let outcome = try Outcome(built.folder.path)
        #expect(outcome.recording.warnings.allSatisfy { !$0.isEmpty && !$0.contains("\n") })
      } catch {
        #expect(!error.description.isEmpty && !error.description.contains("\n"))
      }
    }
  }
}

/// The dumps of a real recording, against the same buffer as text.
@Suite(.enabled(if: Corpus.isPresent, "needs ../shared"))
struct RecordedRawBufferTests {
  private static let folder = Corpus.root + "/recordings/v7/good/text"

  @Test func eventsAreThoseOfTheText() throws {
    let text = try RecordingFile(path: Self.folder + "/trace.txt.zst")
    let raw = try RecordingFile(path: Self.folder)
    #expect(text.recording.format == "ftrace text (trace), packed with zstd")
    // ftrace prints whole microseconds.
    func events(_ file: RecordingFile) throws -> [Int32: [String]] {
      var events: [Int32: [String]] = [:]
      try file.readEvents { event in
        // Pointers are hashed in text.
        if case .setupDebug = event.payload { return }
        let kind =
          switch event.payload {
          case .entry(let pc): "entry \(pc)"
          case .exit(let ret, let ec, let pc): "exit \(ret) \(ec) \(pc)"
          case .schedSwitch(let prev, _, let next): "switch \(prev) \(next)"
          case .probe(let hit):
            "probe \(hit.isReturn) \(hit.fields.vcpu ?? 0) \(hit.fields.hcr ?? 0)"
          default: "other"
          }
        events[event.cpu, default: []].append("\(event.tid) \(kind)")
      }
      return events
    }
    let found = try events(raw)
    let expected = try events(text)
    #expect(found.values.reduce(0) { $0 + $1.count } > 15_000)
    #expect(found.keys.sorted() == expected.keys.sorted())
    for (cpu, list) in expected {
      let same = zip(list, found[cpu] ?? []).prefix { $0 == $1 }.count
      #expect(same == list.count && found[cpu]?.count == list.count, "pCPU \(cpu), event \(same)")
    }
    func counts(_ file: RecordingFile) -> [String: UInt64] {
      Dictionary(
        file.recording.recordedEvents.filter { $0.count > 0 }.map { ($0.name, $0.count) },
        uniquingKeysWith: +)
    }
    #expect(counts(raw) == counts(text))
    #expect(raw.losses.isEmpty && !raw.recording.isIncomplete)
    #expect(raw.recording.clock == "local")
  }
}
