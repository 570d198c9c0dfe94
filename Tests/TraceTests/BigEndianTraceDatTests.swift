import Testing
import Trace

/// The same recording as a machine of the other byte order writes it.
struct BigEndianTraceDatTests {
  struct Form: CustomTestStringConvertible {
    var version: Int
    var longSize: Int
    var compression: TraceDatBuilder.Compression
    var testDescription: String { "v\(version), long \(longSize), \(compression)" }
  }

  static let forms: [Form] =
    [6, 7].flatMap { version in
      [8, 4].map { Form(version: version, longSize: $0, compression: .none) }
    } + [
      Form(version: 7, longSize: 8, compression: .zstd),
      Form(version: 7, longSize: 4, compression: .zlib),
    ]

  private static func bytes(_ form: Form) -> [UInt8] {
    var first = PageBuilder(time: 1000, missed: 12, longSize: form.longSize)
    first.entry(after: 0, pc: 1)
    first.timeExtend(0x1234_5678_9abc)
    first.entry(after: 4, pc: 2)
    first.padding(after: 3, size: 12)
    first.timeStamp(0x0123_4567_89ab_cdef)
    first.sizedEntry(after: 1, pc: 3)
    var second = PageBuilder(time: 0x0123_4567_89ab_ffff, missed: nil, longSize: form.longSize)
    second.entry(after: 0, pc: 4)
    second.entry(after: 9, pc: 5)
    var file = TraceDatBuilder()
    file.longSize = form.longSize
    file.compression = form.compression
    var guest = ByteWriter()
    guest.text("g")
    guest.add(UInt64(77))
    for value in [1, 0, 4001] as [UInt32] { guest.add(value) }
    var count = ByteWriter()
    count.add(UInt32(2))
    file.options = [(8, count.bytes), (13, guest.bytes)]
    file.add(0, [first.bytes(), second.bytes()])
    file.add(1, [second.bytes()])
    return form.version == 6 ? file.version6() : file.version7()
  }

  @Test(arguments: forms)
  func holdsWhatTheLittleEndianOneHolds(form: Form) throws {
    let little = try TraceDatOutcome(Self.bytes(form))
    let bytes = ByteWriter.$isBigEndian.withValue(true) { Self.bytes(form) }
    let big = try TraceDatOutcome(bytes)
    #expect(big.lines == little.lines)
    #expect(big.lines.count == 10 && big.lines.first == "1000 0 lost 12")
    #expect(big.events.map(\.tid) == little.events.map(\.tid))
    #expect(big.losses == little.losses)
    #expect(big.recording.guests == little.recording.guests && big.recording.guests.count == 1)
    #expect(big.recording.cpusOnline == 2)
    #expect(big.recording.format == little.recording.format + ", big-endian")
    #expect(big.recording.warnings == little.recording.warnings)
  }

  /// What is built here is what trace-cmd reads.
  @Test(arguments: forms.filter { $0.compression == .none })
  func isReadByTraceCmdToo(form: Form) throws {
    let bytes = ByteWriter.$isBigEndian.withValue(true) { Self.bytes(form) }
    let file = TemporaryFile(bytes)
    let report = try #require(TraceCmdReport(file.path))
    let expected = report.lines.map { line in
      switch line {
      case .event(let hit): "\(hit.time) \(hit.cpu) \(hit.tid)"
      case .dropped(let cpu, let count): "lost \(count ?? 1) \(cpu)"
      }
    }
    let found = try TraceDatOutcome(bytes).events.map { event in
      if case .lost(let count) = event.payload { return "lost \(count) \(event.cpu)" }
      return "\(event.time) \(event.cpu) \(event.tid)"
    }
    #expect(found == expected)
  }
}
