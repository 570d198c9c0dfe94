import Glibc
import Testing
import Trace

/// The same recording in another encoding gives the same events.
struct EncodingTests {
  /// All that reading gives, as text.
  private struct Reading: Equatable {
    var events: [String] = []
    var counts: [String: UInt64] = [:]
    var facts: [String] = []

    init(_ path: String) throws(TraceError) {
      var file = try PerfDataFile(path: path)
      try self.init(&file)
    }

    init(_ file: inout PerfDataFile) throws(TraceError) {
      var events: [String] = []
      try file.readEvents { event in
        var text =
          "\(event.time) \(event.cpu) \(event.pid) \(event.tid) \(String(describing: event.payload))"
        if case .probe(let hit) = event.payload {
          for keys in [hit.fields.guestKeys, hit.fields.hostKeys] {
            guard let keys else { continue }
            for index in 0..<10 { text += " \(keys.registers[index])" }
          }
        }
        events.append(text)
      }
      self.events = events
      for event in file.recording.recordedEvents {
        counts["\(event.system):\(event.name)", default: 0] += event.count
      }
      let recording = file.recording
      facts = [
        "\(recording.osRelease ?? "")", "\(recording.architecture ?? "")",
        "\(recording.cpusOnline ?? 0)", "\(recording.commandLine)", recording.clock,
        "\(recording.kernelText?.symbol ?? "") \(recording.kernelText?.address ?? 0)",
        "\(recording.kernelBuildID ?? [])", "\(recording.isIncomplete)", "\(recording.warnings)",
        "\(file.losses.byCPU.sorted { $0.key < $1.key }) \(file.losses.samples)",
        "\(file.losses.samplesByCPU.sorted { $0.key < $1.key })",
        "\(file.firstTimeByCPU.sorted { $0.key < $1.key })",
      ]
    }

    func expectSame(as other: Reading, _ what: String) {
      #expect(!events.isEmpty)
      #expect(events.count == other.events.count, "\(what)")
      if let first = events.indices.first(where: {
        !other.events.indices.contains($0) || events[$0] != other.events[$0]
      }) {
        let found = other.events.indices.contains(first) ? other.events[first] : "nothing"
        Issue.record("\(what): event \(first) is \(found), not \(events[first])")
      }
      #expect(counts == other.counts, "\(what)")
      for (fact, found) in zip(facts, other.facts) { #expect(fact == found, "\(what)") }
    }
  }

  /// Those of traces/, and one whose samples are compressed.
  static let recordings =
    Corpus.recordings.filter { $0.contains("/traces/") }
    + Corpus.recordings.filter { $0.hasSuffix("recordings/v7/lossy-good/perf.data") }

  /// Not compressed.
  private static let plain =
    recordings.first { $0.contains("v7-trap-skips-host-save") } ?? ""

  @Test(arguments: recordings)
  func pipeMode(path: String) throws {
    let stream = TemporaryFile(PerfPieces(try bytes(path)).pipeMode())
    // The stream is one for perf too.
    let lines = "perf script --guestkallsyms=/dev/null -F tid,cpu,time,event -i"
    let own = try #require(Command.output("\(lines) '\(stream.path)' </dev/null | md5sum"))
    #expect(own == Command.output("\(lines) '\(path)' </dev/null | md5sum"))

    let expected = try Reading(path)
    var file = try PerfDataFile(path: stream.path)
    #expect(file.recording.format == "perf.data pipe mode")
    let canReread = file.canReread
    #expect(canReread)
    expected.expectSame(as: try Reading(&file), "a stream in a file")
    expected.expectSame(as: try Reading(&file), "a second pass")
  }

  @Test(arguments: recordings)
  func throughAPipe(path: String) throws {
    let stream = TemporaryFile(PerfPieces(try bytes(path)).pipeMode())
    let fifo = Fifo(writing: "cat '\(stream.path)'")
    var file = try PerfDataFile(path: fifo.path)
    let canReread = file.canReread
    #expect(!canReread)
    let expected = try Reading(path)
    expected.expectSame(as: try Reading(&file), "a stream through a pipe")
    #expect(file.recording.byteCount > 100_000)
    #expect {
      try file.readEvents { _ in }
    } throws: {
      ($0 as? TraceError)?.code == .cannotReread
    }
  }

  @Test(arguments: [plain, recordings.last ?? ""])
  func bigEndian(path: String) throws {
    let pieces = PerfPieces(try bytes(path))
    let expected = try Reading(path)
    let swapped = SwappedPieces(pieces)
    let whole = TemporaryFile(swapped.fileMode())
    expected.expectSame(as: try Reading(whole.path), "big-endian")
    // The feature bitmap of a machine with 32 bits.
    let small = TemporaryFile(swapped.fileMode(wordSize: 4))
    let recording = try PerfDataFile(path: small.path).recording
    #expect(recording.format == "perf.data file mode, big-endian")
    #expect(recording.osRelease == "6.1.192-v7")
    #expect(recording.recordedEvents.contains { $0.name == "kvm_entry" })
    let file = TemporaryFile(swapped.pipeMode())
    var stream = try Reading(file.path)
    // Build-ids come from the kernel's map or not at all: the test leaves the others out.
    stream.facts[6] = expected.facts[6]
    expected.expectSame(as: stream, "big-endian stream")
  }

  /// The records in zstd pieces of any size, turned or not.
  @Test(arguments: [false, true], [RecordKind.compressed, RecordKind.compressed2])
  func compressedRecords(isSwapped: Bool, type: UInt32) throws {
    let path = Self.plain
    var pieces = PerfPieces(try bytes(path))
    let expected = try Reading(path)
    let inner = isSwapped ? SwappedPieces(pieces).records(pieces.records) : pieces.records
    var records = ByteWriter()
    var offset = 0
    let stream = StoredZstd.stream(inner, block: 100_000)
    var random = SplitMix(state: 1)
    while offset < stream.count {
      let size = min(Int.random(in: 1...65000, using: &random), stream.count - offset)
      var body = ByteWriter()
      if type == RecordKind.compressed2 {
        body.add(isSwapped ? UInt64(size).byteSwapped : UInt64(size))
      }
      body.add(Array(stream[offset..<(offset + size)]))
      if type == RecordKind.compressed2 { body.pad(to: 8) }
      records.add(type)
      records.add(UInt16(0))
      records.add(UInt16(8 + body.bytes.count))
      records.add(body.bytes)
      offset += size
    }
    pieces.records = records.bytes
    let file = TemporaryFile(isSwapped ? SwappedPieces(pieces).fileMode() : pieces.pipeMode())
    var found = try Reading(file.path)
    // The kernel's map is compressed too: known after a pass.
    found.facts[6] = expected.facts[6]
    expected.expectSame(as: found, "compressed")
  }

  @Test(arguments: ["gzip", "xz", "zstd"])
  func packedFiles(tool: String) throws {
    let path = Self.plain
    let packed = TemporaryFile([])
    #expect(Command.output("\(tool) -c '\(path)' > '\(packed.path)'") != nil)
    let file = try PerfDataFile(path: packed.path)
    #expect(file.recording.format == "perf.data file mode, packed with \(tool)")
    try Reading(path).expectSame(as: try Reading(packed.path), tool)

    #expect(Command.output("\(tool) -c '\(path)' | head -c 50000 > '\(packed.path)'") != nil)
    let error = #expect(throws: TraceError.self) { _ = try PerfDataFile(path: packed.path) }
    #expect(error?.description.contains("cut short") == true)
  }

  /// The samples of each pCPU in a file of its own, as `perf record --threads` does; here also unsorted.
  @Test(arguments: [1, 3])
  func directories(count: Int) throws {
    let path = Self.plain
    let file = try bytes(path)
    let folder = Self.directory(of: file, count: count)

    let expected = try Reading(path)
    for place in [folder.path, folder.path + "/data"] {
      var found = try PerfDataFile(path: place)
      #expect(found.recording.format == "perf.data directory")
      let reading = try Reading(&found)
      // Events of the same time may change their order.
      #expect(reading.events.sorted() == expected.events.sorted())
      #expect(reading.counts == expected.counts)
      #expect(reading.facts == expected.facts)
    }
  }

  /// A perf.data as a directory of `count` files with samples, and one with all else.
  static func directory(of file: [UInt8], count: Int) -> TemporaryFolder {
    let pieces = PerfPieces(file)
    var parts = Array(repeating: ByteWriter(), count: count)
    var main = ByteWriter()
    var offset = 0
    while offset < pieces.records.count {
      let size = Int(PerfPieces.number(pieces.records, offset + 6, 2))
      let record = Array(pieces.records[offset..<(offset + size)])
      let type = PerfPieces.number(record, 0, 4)
      // IDENTIFIER, IP, TID, TIME, CPU: the samples of all events begin so.
      if type == 9 {
        parts[Int(PerfPieces.number(record, 40, 4)) % count].add(record)
      } else if type != 68 {
        main.add(record)
      }
      offset += size
    }
    let folder = TemporaryFolder()
    folder.write("data", Self.replacingRecords(of: file, with: main.bytes))
    for (number, part) in parts.enumerated() { folder.write("data.\(number)", part.bytes) }
    return folder
  }

  /// `file` with other records, marked as a directory's.
  private static func replacingRecords(of file: [UInt8], with records: [UInt8]) -> [UInt8] {
    let data = Int(PerfPieces.number(file, 40, 8))
    let pieces = PerfPieces(file)
    var result = ByteWriter()
    result.add(Array(file[..<data]))
    result.add(records)
    result.set(UInt64(records.count), at: 48)
    let sections = pieces.sections.filter { $0.bit < 24 } + [(24, [1, 0, 0, 0, 0, 0, 0, 0])]
    result.set(sections.reduce(UInt64(0)) { $0 | 1 << UInt64($1.bit) }, at: 72)
    var start = result.bytes.count + sections.count * 16
    for section in sections {
      result.add(UInt64(start))
      result.add(UInt64(section.bytes.count))
      start += section.bytes.count
    }
    for section in sections { result.add(section.bytes) }
    return result.bytes
  }
}

func bytes(_ path: String) throws -> [UInt8] {
  let descriptor = unsafe open(path, O_RDONLY)
  try #require(descriptor >= 0)
  defer { close(descriptor) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 1 << 16)
  while case let count = unsafe read(descriptor, &buffer, buffer.count), count > 0 {
    bytes.append(contentsOf: buffer[..<count])
  }
  return bytes
}

/// A FIFO that a command writes to.
final class Fifo {
  let path = TemporaryFile.freePath()

  init(writing command: String) {
    #expect(unsafe mkfifo(path, 0o600) == 0)
    _ = Command.output("(\(command) > '\(path)') >/dev/null &")
  }

  deinit { _ = unsafe unlink(path) }
}

/// A directory that is there as long as the value.
final class TemporaryFolder {
  let path = TemporaryFile.freePath()

  init() { unsafe mkdir(path, 0o700) }

  func write(_ name: String, _ bytes: [UInt8]) {
    let parent = path + "/" + name.split(separator: "/").dropLast().joined(separator: "/")
    _ = Command.output("mkdir -p '\(parent)'")
    let descriptor = unsafe open("\(path)/\(name)", O_WRONLY | O_CREAT, 0o600)
    _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
  }

  /// Writes a file that is there again.
  func replace(_ name: String, _ bytes: [UInt8]) {
    unsafe unlink("\(path)/\(name)")
    let descriptor = unsafe open("\(path)/\(name)", O_WRONLY | O_CREAT, 0o600)
    _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
  }

  deinit { _ = Command.output("rm -r '\(path)'") }
}
