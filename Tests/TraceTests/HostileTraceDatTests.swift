import Testing
import Trace

/// Every byte of a trace.dat can be wrong: no crash, no hang, and a sentence.
struct HostileTraceDatTests {
  private static func builder(_ compression: TraceDatBuilder.Compression) -> TraceDatBuilder {
    var file = TraceDatBuilder()
    file.pageSize = 256
    file.compression = compression
    file.formats.append(Formats.probe)
    var page = PageBuilder(time: 50, missed: 3)
    page.entry(after: 0, pc: 1)
    page.timeExtend(1 << 30)
    page.padding(after: 1, size: 8)
    page.sizedEntry(after: 2, pc: 2)
    var last = PageBuilder(time: 1 << 31)
    last.entry(after: 0, pc: 3)
    last.timeStamp(1 << 32)
    let hit = Formats.entryRaw(pc: 4, type: Formats.probeID)
    last.record(after: 0, hit + [UInt8](repeating: 1, count: 16))
    file.add(0, [page.bytes(size: 256), last.bytes(size: 256)])
    file.add(2, [last.bytes(size: 256)])
    file.instances.append(TraceDatBuilder.Instance(name: "i", clock: "local"))
    file.add(0, [page.bytes(size: 256)], to: 1)
    file.add(2, [last.bytes(size: 256)], to: 1)
    file.options = [
      (2, Array("CPU: 0\noverrun: 3\n\0".utf8)), (5, Array("Linux a b c\0".utf8)),
      (8, ByteWriter.isBigEndian ? [0, 0, 0, 2] : [2, 0, 0, 0]),
    ]
    return file
  }

  static let whole: [[UInt8]] = [
    builder(.none).version6(), builder(.none).version7(), builder(.zstd).version7(),
    builder(.zlib).version7(),
    ByteWriter.$isBigEndian.withValue(true) { builder(.zstd).version7() },
  ]

  @discardableResult
  private func read(_ bytes: [UInt8]) -> TraceError? {
    do throws(TraceError) {
      let outcome = try TraceDatOutcome(bytes)
      #expect(outcome.recording.warnings.allSatisfy { !$0.isEmpty && !$0.contains("\n") })
      return nil
    } catch {
      #expect(!error.description.isEmpty && !error.description.contains("\n"))
      return error
    }
  }

  @Test(arguments: whole.indices)
  func theWholeFileIsFine(number: Int) throws {
    let outcome = try TraceDatOutcome(Self.whole[number])
    #expect(outcome.events.count == 7)
    #expect(!outcome.recording.isIncomplete)
    #expect(outcome.losses.byCPU == [0: 3])
  }

  @Test(arguments: whole.indices)
  func cutAtEvery8thByte(number: Int) {
    let whole = Self.whole[number]
    var delivered = 0
    for length in stride(from: 0, to: whole.count, by: 8) {
      let bytes = Array(whole[..<length])
      guard read(bytes) == nil, let outcome = try? TraceDatOutcome(bytes) else { continue }
      #expect(outcome.recording.isIncomplete, "cut at \(length)")
      #expect(!outcome.recording.warnings.isEmpty)
      delivered += 1
    }
    // The table of version 6 comes first: what data is there is read.
    #expect(number == 0 ? delivered > 50 : delivered == 0)
  }

  @Test(arguments: 0..<16 as Range<UInt64>)
  func bytesFlipped(seed: UInt64) {
    print("SplitMix(state: \(seed))")
    var random = SplitMix(state: seed)
    for _ in 0..<150 {
      var bytes = Self.whole[Int(seed) % Self.whole.count]
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        bytes[place] =
          [0, 0xff, 0x80, UInt8.random(in: 0...255, using: &random)].randomElement(
            using: &random) ?? 0
      }
      read(bytes)
    }
  }

  @Test(arguments: whole.indices)
  func everyByteBehindTheFormatsWithExtremeValues(number: Int) {
    let whole = Self.whole[number]
    for place in Array(0..<64) + Array((whole.count - 900)..<whole.count) {
      for value in [0, 0x7f, 0xff] as [UInt8] {
        var bytes = whole
        bytes[place] = value
        read(bytes)
      }
    }
  }

  @Test func optionsThatLeadBackAreRefused() {
    var file = TraceDatBuilder()
    file.add(0, [PageBuilder(time: 1).bytes()])
    let bytes = file.version7()
    // The place of the first options, from the header.
    let first = (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[24 + $1]) << (8 * UInt64($1)) }
    guard case .isCorrupt(let part, _) = read(file.version7(lastOptions: first))?.code else {
      Issue.record("the options are followed for ever")
      return
    }
    #expect(part == "list of options")
  }

  /// 200 CPUs that all claim the same data.
  @Test func dataThatOverlapsIsRefused() throws {
    var file = TraceDatBuilder()
    for cpu in 0..<200 as Range<UInt32> { file.add(cpu, [PageBuilder(time: 1).bytes(size: 4096)]) }
    var bytes = ByteWriter()
    bytes.add(file.version6())
    let table = try #require(
      bytes.bytes.indices.first { bytes.bytes[$0...].starts(with: Array("flyrecord\0".utf8)) })
    for cpu in 0..<200 { bytes.set(64, at: table + 10 + cpu * 16) }
    guard case .isCorrupt(let part, _) = read(bytes.bytes)?.code else {
      Issue.record("the table is accepted")
      return
    }
    #expect(part == "buffer table")
  }

  @Test func filesThatAreNoTraceDatGetOneSentence() {
    let magic = TraceDatHeader.magic
    #expect(read([])?.code == .isEmpty)
    #expect(read(Array("PERFILE2".utf8))?.code == .isNotTraceDat)
    #expect(read(magic + Array("5\0".utf8))?.code == .traceDatVersion("5"))
    // Big-endian, so this page size is none.
    guard case .isCorrupt("header", _) = read(magic + Array("6\0".utf8) + [1, 8, 0, 0, 0, 1])?.code
    else {
      Issue.record("a page of one byte")
      return
    }
    var bytes = magic + Array("7\0".utf8) + [0, 8, 0, 16, 0, 0] + Array("lz4\0".utf8) + [0]
    bytes += UInt64(40).bytes
    #expect(read(bytes)?.code == .compression("lz4"))
    bytes = magic + Array("7\0".utf8) + [0, 8, 0, 16, 0, 0] + Array("none\0".utf8) + [0]
    bytes += UInt64(0).bytes
    #expect(read(bytes)?.code == .isWithoutOptions)
    #expect {
      _ = try RecordingFile(path: #filePath)
    } throws: {
      ($0 as? TraceError)?.code == .isUnknownFormat
    }
    #expect {
      _ = try RecordingFile(path: "/tmp")
    } throws: {
      ($0 as? TraceError)?.code == .isDirectory
    }
  }

  /// Real files, cut and with bytes changed.
  @Test(arguments: 0..<4 as Range<UInt64>)
  func realFilesFlipped(seed: UInt64) throws {
    print("SplitMix(state: \(seed))")
    let path = try #require(Corpus.traceDats.first)
    let whole = try #require(Command.bytes(path))
    var random = SplitMix(state: seed)
    for _ in 0..<4 {
      var bytes = whole
      // Not in the kernel symbols, which are most of the file.
      for _ in 0..<20 {
        let place =
          Bool.random(using: &random)
          ? Int.random(in: 0..<7000, using: &random)
          : Int.random(in: (whole.count - 134_000)..<whole.count, using: &random)
        bytes[place] = UInt8.random(in: 0...255, using: &random)
      }
      read(bytes)
    }
    read(Array(whole[..<Int.random(in: 0..<whole.count, using: &random)]))
  }
}
