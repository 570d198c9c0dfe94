import Testing
import Trace

/// The other encodings, damaged: no crash, no hang, and a sentence.
struct HostileStreamTests {
  enum Encoding: String, CaseIterable {
    case pipe, swapped, swappedPipe

    var bytes: [UInt8] {
      let pieces = PerfPieces(HostileFileTests.whole)
      return switch self {
      case .pipe: pieces.pipeMode()
      case .swapped: SwappedPieces(pieces).fileMode()
      case .swappedPipe: SwappedPieces(pieces).pipeMode()
      }
    }
  }

  private func read(_ bytes: [UInt8]) -> TraceError? {
    do throws(TraceError) {
      _ = try Outcome(bytes)
      return nil
    } catch {
      return error
    }
  }

  @Test
  func theStreamIsTheFile() throws {
    let outcome = try Outcome(Encoding.pipe.bytes)
    #expect(outcome.programCounters == [1, 2, 3, 4])
    #expect(outcome.recording.kernelText?.address == 0xffff_8000_0800_0000)
    #expect(!outcome.recording.isIncomplete)
    #expect(outcome.losses.byCPU == [0: 2])
  }

  @Test(arguments: Encoding.allCases)
  func cutAtEvery8thByte(encoding: Encoding) {
    let whole = encoding.bytes
    for length in stride(from: 0, to: whole.count, by: 8) {
      let error = read(Array(whole[..<length]))
      if let error { #expect(!error.description.contains("\n")) }
      if length < 104 { #expect(error != nil, "cut at \(length)") }
    }
  }

  @Test(arguments: Encoding.allCases, 0..<8 as Range<UInt64>)
  func bytesFlipped(encoding: Encoding, seed: UInt64) {
    print("\(encoding), SplitMix(state: \(seed))")
    let whole = encoding.bytes
    var random = SplitMix(state: seed)
    for _ in 0..<60 {
      var bytes = whole
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        bytes[place] =
          [0, 0xff, 0x80, UInt8.random(in: 0...255, using: &random)].randomElement(
            using: &random) ?? 0
      }
      _ = read(bytes)
    }
  }

  /// The bytes of a stream that is not mapped.
  @Test(arguments: 0..<12 as Range<UInt64>)
  func bytesFlippedInAPipe(seed: UInt64) {
    print("SplitMix(state: \(seed))")
    var random = SplitMix(state: seed)
    var bytes = Encoding.pipe.bytes
    if seed > 0 {
      for _ in 0..<3 { bytes[Int.random(in: 16..<bytes.count, using: &random)] ^= 0x81 }
    }
    let file = TemporaryFile(bytes)
    let fifo = Fifo(writing: "cat '\(file.path)'")
    do throws(TraceError) {
      var reader = try PerfDataFile(path: fifo.path)
      var count = 0
      try reader.readEvents { _ in count += 1 }
      if seed == 0 { #expect(count == 6) }
    } catch {
      #expect(seed > 0)
      #expect(!error.description.contains("\n"))
    }
  }

  /// Bytes that follow a record and are said to be more than there is.
  @Test(arguments: [RecordKind.auxTrace, RecordKind.tracingData])
  func payloadsOfAnySize(type: UInt32) throws {
    var pieces = PerfPieces(HostileFileTests.whole)
    var record = ByteWriter()
    record.add(type)
    record.add(UInt16(0))
    record.add(UInt16(48))
    record.add(UInt64.max)
    for _ in 0..<4 { record.add(UInt64(0)) }
    pieces.records += record.bytes
    let outcome = try Outcome(pieces.pipeMode())
    #expect(outcome.programCounters == [1, 2, 3, 4])
    #expect(outcome.recording.isIncomplete)
    #expect(outcome.recording.warnings.contains { $0.contains("follow a record") })
  }

  @Test
  func whatCannotBeReadFromAPipeIsSaid() throws {
    let file = TemporaryFile(HostileFileTests.whole)
    for (command, code) in [
      ("cat", TraceError.Code.isFileInStream), ("gzip -c", .isPackedStream("gzip")),
      ("true", .isEmpty),
    ] {
      let fifo = Fifo(writing: "\(command) '\(file.path)'")
      let error = #expect(throws: TraceError.self) { _ = try PerfDataFile(path: fifo.path) }
      #expect(error?.code == code)
      #expect(error?.path == fifo.path)
    }
  }

  @Test
  func aDirectoryWithoutItsEventsIsIncomplete() throws {
    let folder = TemporaryFolder()
    var bytes = HostileFileTests.whole
    // HEADER_DIR_FORMAT without its section: the recorder was killed.
    bytes[75] |= 1
    for place in 48..<56 { bytes[place] = 0 }
    folder.write("data", bytes)
    let file = try PerfDataFile(path: folder.path)
    #expect(file.recording.isIncomplete)
    #expect(file.recording.warnings.contains { $0.contains("data.0") })
    let empty = TemporaryFolder()
    let error = #expect(throws: TraceError.self) { _ = try PerfDataFile(path: empty.path) }
    #expect(error?.code == .isDirectory)
  }
}
