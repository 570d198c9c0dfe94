import Testing
import Trace

/// Pages and parts that no recording at hand has.
struct TraceDatTests {
  typealias Builder = TraceDatBuilder

  private static func page(_ time: UInt64, _ pcs: UInt64...) -> [UInt8] {
    var page = PageBuilder(time: time)
    for (number, pc) in pcs.enumerated() { page.entry(after: number == 0 ? 0 : 10, pc: pc) }
    return page.bytes()
  }

  @Test(arguments: [Builder.Compression.none, .zstd, .zlib])
  func cpusAreMergedByTime(compression: Builder.Compression) throws {
    var file = Builder()
    file.compression = compression
    file.add(0, [Self.page(100, 1, 2), Self.page(200, 3), Self.page(300, 4)])
    // CPU ids may have gaps.
    file.add(7, [Self.page(105, 5), Self.page(205, 6)])
    let outcome = try TraceDatOutcome(file.version7())
    #expect(
      outcome.lines == ["100 0 1", "105 7 5", "110 0 2", "200 0 3", "205 7 6", "300 0 4"])
    #expect(outcome.events.allSatisfy { $0.tid == 7 && $0.pid == -1 })
    #expect(outcome.recording.recordedEvents.map(\.count) == [6, 0])
    #expect(outcome.recording.threadNames == [7: "vcpu 0"])
    #expect(outcome.recording.kernelText?.symbol == "_text")
    #expect(outcome.recording.kernelText?.address == 0xffff_8000_0800_0000)
    #expect(
      outcome.recording.format
        == "trace.dat v7" + (compression == .none ? "" : ", \(compression.rawValue)"))
    #expect(outcome.recording.warnings == [] && outcome.losses.isEmpty)
    if compression == .none {
      let old = try TraceDatOutcome(file.version6())
      // Version 6 has no CPU ids: they are counted.
      #expect(
        old.lines == outcome.lines.map { $0.replacing(" 7 ", with: " 1 ") })
      #expect(old.recording.format == "trace.dat v6" && old.recording.clock == "local")
      #expect(old.recording.kernelText?.address == 0xffff_8000_0800_0000)
    }
  }

  @Test(arguments: [Builder.Compression.none, .zstd, .zlib], [6, 7])
  func whatFollowsIsSaid(compression: Builder.Compression, version: Int) throws {
    if version == 6, compression != .none { return }
    var file = Builder()
    file.compression = compression
    file.add(0, [Self.page(100, 1, 2), Self.page(200, 3)])
    let bytes = version == 6 ? file.version6() : file.version7()
    let one = try TraceDatOutcome(bytes)
    #expect(!one.recording.isIncomplete && one.recording.warnings == [])
    let two = try TraceDatOutcome(bytes + bytes)
    #expect(two.lines == one.lines && two.recording.isIncomplete)
    #expect(
      two.recording.warnings.contains {
        $0.hasPrefix(
          "\(bytes.count) bytes follow the recording in its file, from byte \(bytes.count) on")
      })
  }

  /// Every kind of time; 59 bits of an absolute one are stored, the others are those of the time before.
  private static func times(from high: UInt64) -> (page: [UInt8], times: [UInt64]) {
    var page = PageBuilder(time: high + 5)
    page.entry(after: 0, pc: 1)
    page.timeExtend(0x1234_5678_9abc)
    page.entry(after: 4, pc: 2)
    page.padding(after: 3, size: 12)
    page.timeStamp(0x0123_4567_89ab_cdef)
    page.sizedEntry(after: 1, pc: 3)
    // The 59 bits have begun again.
    page.timeStamp(8)
    page.entry(after: 0, pc: 4)
    page.nothing()
    let times = [
      high + 5, high + 5 + 0x1234_5678_9abc + 4, high + 0x0123_4567_89ab_cdef + 1,
      high + (1 << 59) + 8,
    ]
    return (page.bytes(), times)
  }

  @Test func timesAreExtendedAndAbsolute() throws {
    let (page, times) = Self.times(from: 3 << 59)
    var file = Builder()
    file.add(0, [page])
    let outcome = try TraceDatOutcome(file.version7())
    #expect(outcome.events.map(\.time) == times)
    #expect(outcome.recording.warnings == [])
  }

  /// What is built here is what trace-cmd reads.
  @Test(arguments: [6, 7], [8, 4])
  func builtPagesAreReadByTraceCmdToo(version: Int, longSize: Int) throws {
    var first = PageBuilder(time: 1000, missed: 12, longSize: longSize)
    first.entry(after: 0, pc: 1)
    first.timeExtend(0x1234_5678_9abc)
    first.entry(after: 4, pc: 2)
    first.padding(after: 3, size: 12)
    first.timeStamp(0x0123_4567_89ab_cdef)
    first.sizedEntry(after: 1, pc: 3)
    var second = PageBuilder(time: 0x0123_4567_89ab_ffff, missed: nil, longSize: longSize)
    second.entry(after: 0, pc: 4)
    second.entry(after: 9, pc: 5)
    var file = Builder()
    file.longSize = longSize
    file.options = [(8, [2, 0, 0, 0])]
    file.add(0, [first.bytes(), second.bytes()])
    file.add(1, [second.bytes()])
    let bytes = version == 6 ? file.version6() : file.version7()
    let whole = TemporaryFile(bytes)
    let report = try #require(TraceCmdReport(whole.path))
    let expected = report.lines.map { line in
      switch line {
      case .event(let hit): "\(hit.time) \(hit.cpu)"
      case .dropped(let cpu, let count): "lost \(count ?? 1) \(cpu)"
      }
    }
    let events = try TraceDatOutcome(bytes).events
    let found = events.map { event in
      if case .lost(let count) = event.payload { return "lost \(count) \(event.cpu)" }
      return "\(event.time) \(event.cpu)"
    }
    #expect(found == expected)
    #expect(events.count == 10)
  }

  /// The same recording as trace-cmd itself writes it in another version, or not compressed.
  @Test(arguments: ["--file-version 6", "--compression none", "--compression zstd"])
  func convertedFilesHoldTheSame(options: String) throws {
    let path = try #require(Corpus.traceDats.first)
    let target = TemporaryFile([])
    // trace-cmd refuses a recording that it cannot open for writing.
    let copy = TemporaryFile(try #require(Command.bytes(path)))
    _ = try #require(
      Command.output("trace-cmd convert \(options) -i '\(copy.path)' -o '\(target.path)'"))
    func lines(_ path: String) throws -> [String] {
      var file = try TraceDatFile(path: path)
      var lines: [String] = []
      try file.readEvents { lines.append("\($0.time) \($0.cpu) \($0.tid)") }
      #expect(!file.recording.isIncomplete)
      return lines
    }
    let converted = try lines(target.path)
    #expect(try converted == lines(path))
    #expect(converted.count > 15_000)
  }

  @Test(arguments: [8, 4])
  func lossesHaveTheirPlace(longSize: Int) throws {
    func page(_ time: UInt64, _ missed: UInt64?, pc: UInt64) -> [UInt8] {
      var page = PageBuilder(time: time, missed: missed, longSize: longSize)
      if pc > 0 { page.entry(after: 0, pc: pc) }
      return page.bytes()
    }
    var file = Builder()
    file.longSize = longSize
    file.add(0, [page(100, 0, pc: 1), page(200, 12, pc: 2), page(300, 5, pc: 0)])
    file.add(3, [page(150, nil, pc: 3), [UInt8](repeating: 0, count: 4096)])
    var text = "CPU: 0\nentries: 5\noverrun: 20\ncommit overrun: 0\ndropped events: 0\n"
    file.options = [(2, Array(text.utf8) + [0])]
    text = "CPU: 3\noverrun: 90\n"
    file.options += [(2, Array(text.utf8) + [0])]
    let outcome = try TraceDatOutcome(file.version7())
    #expect(
      outcome.lines == [
        "100 0 1", "150 3 lost 1", "150 3 3", "200 0 lost 12", "200 0 2", "300 0 lost 5",
      ])
    // The pages of CPU 0 tell of 17; 3 more were counted. CPU 3's page does not say how many.
    #expect(outcome.losses.byCPU == [0: 20, 3: 90])
    #expect(outcome.losses.samples == 3 && outcome.losses.samplesByCPU == [0: 3])
  }

  /// A full buffer that may not be overwritten: no page tells where, but it was between two pages.
  @Test func lossesWithoutAPlaceAreBetweenAllPages() throws {
    var file = Builder()
    file.add(0, [Self.page(100, 1, 2), Self.page(200, 3), Self.page(300, 4)])
    file.add(1, [Self.page(150, 5)])
    for text in [
      "CPU: 0\noverrun: 0\ncommit overrun: 1\ndropped events: 7\n",
      "CPU: 1\noverrun: 0\ncommit overrun: 0\ndropped events: 2\n",
    ] { file.options.append((2, Array(text.utf8) + [0])) }
    let outcome = try TraceDatOutcome(file.version7())
    #expect(
      outcome.lines == [
        "100 0 1", "110 0 2", "150 1 5", "150 1 lost 2", "200 0 lost 8", "200 0 3",
        "300 0 lost 0", "300 0 4",
      ])
    #expect(outcome.losses.byCPU == [0: 8, 1: 2] && outcome.losses.samples == 0)
  }

  @Test func aDamagedPageIsALossAndIsSaid() throws {
    var page = PageBuilder(time: 200)
    page.entry(after: 0, pc: 2)
    page.record(after: 0, [UInt8](repeating: 0, count: 112))
    var broken = page.bytes(commit: 60)
    var file = Builder()
    file.add(0, [Self.page(100, 1), broken, Self.page(300, 3)])
    var outcome = try TraceDatOutcome(file.version7())
    #expect(outcome.lines == ["100 0 1", "200 0 2", "300 0 lost 1", "300 0 3"])
    #expect(outcome.recording.warnings.count == 2 && outcome.recording.isDamaged)
    #expect(outcome.recording.warnings.first?.contains("1 page of CPU 0") == true)
    broken = page.bytes(commit: 5000)
    file.instances[0].cpus[0].pages[1] = broken
    outcome = try TraceDatOutcome(file.version7())
    #expect(outcome.lines == ["100 0 1", "300 0 lost 1", "300 0 3"])
  }

  @Test func clocksThatAreNoTimeAreNotCalledNanoseconds() throws {
    var file = Builder()
    file.instances[0].clock = "x86-tsc"
    file.add(0, [Self.page(1 << 40, 1)])
    var outcome = try TraceDatOutcome(file.version7())
    #expect(!outcome.recording.clockIsInNanoseconds)
    #expect(outcome.recording.clock == "x86-tsc in cycles")
    #expect(outcome.recording.warnings.first?.contains("cycles") == true)
    // 2^40 cycles * 1000 >> 10.
    var scale = ByteWriter()
    scale.add(UInt32(1000))
    scale.add(UInt32(10))
    scale.add(UInt64(99))
    file.options = [(14, scale.bytes)]
    outcome = try TraceDatOutcome(file.version7())
    #expect(outcome.recording.clockIsInNanoseconds)
    #expect(outcome.recording.clock == "x86-tsc in ns" && outcome.recording.warnings == [])
    #expect(outcome.events.first?.time == 1_073_741_824_000)
    file.instances[0].clock = "counter"
    outcome = try TraceDatOutcome(file.version6())
    #expect(outcome.recording.clock == "counter in events")
    #expect(outcome.events.first?.time == 1 << 40)
    file.instances[0].clock = "mono"
    file.options.append((7, Array("-24\0".utf8)))
    outcome = try TraceDatOutcome(file.version7())
    #expect(outcome.recording.clock == "mono" && outcome.recording.clockIsInNanoseconds)
    #expect(outcome.events.first?.time == (1 << 40) - 24)
  }

  @Test func scalesDoNotOverflow() {
    let scale = TimeScale(multiplier: .max, shift: 31, offset: 0)
    #expect(scale?.nanoseconds(1 << 40) == (1 << 40) * 2 - (1 << 9))
    #expect(scale?.nanoseconds(.max) == .max)
    #expect(TimeScale(multiplier: 3, shift: 0, offset: 0)?.nanoseconds(5) == 15)
    #expect(TimeScale(multiplier: 3, shift: 0, offset: 0)?.nanoseconds(.max) == .max)
    #expect(TimeScale(multiplier: 0, shift: 0, offset: 0) == nil)
    #expect(TimeScale(multiplier: 1, shift: 64, offset: 0) == nil)
  }

  /// A page with one kvm_entry of each thread.
  private static func page(_ time: UInt64, threads: [UInt32]) -> [UInt8] {
    var page = PageBuilder(time: time)
    for (number, thread) in threads.enumerated() {
      page.record(after: number == 0 ? 0 : 10, Formats.entryRaw(pc: UInt64(thread), thread: thread))
    }
    return page.bytes()
  }

  /// All instances with an event of use are read; what several have is taken from one.
  @Test(arguments: [6, 7])
  func instancesAreMerged(version: Int) throws {
    var file = Builder()
    file.instances.append(Builder.Instance(name: "guests", clock: "local"))
    file.instances.append(Builder.Instance(name: "other", clock: "local"))
    let nothing = [UInt8](repeating: 0, count: 4096)
    file.add(0, [Self.page(100, threads: [1])])
    file.add(0, [Self.page(101, threads: [2, 3])], to: 1)
    file.add(0, [nothing], to: 2)
    func read() throws -> TraceDatOutcome {
      try TraceDatOutcome(version == 6 ? file.version6() : file.version7())
    }
    var outcome = try read()
    #expect(outcome.lines == ["100 0 1", "101 0 2", "111 0 3"])
    #expect(
      outcome.recording.warnings == [
        "read with the top instance of the ring buffer: the instance guests"
      ])
    #expect(outcome.recording.recordedEvents.first?.count == 3)
    // Thread 3 is in two of them: as often, so that of the first is taken; then more often.
    file.instances[2].cpus[0].pages = [Self.page(105, threads: [3, 4])]
    outcome = try read()
    #expect(outcome.lines == ["100 0 1", "101 0 2", "111 0 3", "115 0 4"])
    #expect(outcome.recording.warnings.first?.hasSuffix("has most of it: kvm:kvm_entry") == true)
    #expect(outcome.recording.recordedEvents.first?.count == 5)
    file.instances[2].cpus[0].pages = [Self.page(105, threads: [3, 4, 3])]
    outcome = try read()
    #expect(outcome.lines == ["100 0 1", "101 0 2", "105 0 3", "115 0 4", "125 0 3"])
    // The top has nothing.
    file.instances[0].cpus[0].pages = [nothing]
    file.instances[2].cpus[0].pages = [nothing]
    outcome = try read()
    #expect(outcome.lines == ["101 0 2", "111 0 3"])
    #expect(
      outcome.recording.warnings.first?.hasSuffix("read instead: the instance guests") == true)
  }

  /// Of instances with different clocks, those with that of most entries are read.
  @Test func anInstanceWithAnotherClockIsNotRead() throws {
    var file = Builder()
    file.instances.append(Builder.Instance(name: "guests", clock: "mono"))
    file.add(0, [Self.page(100, threads: [1])])
    file.add(0, [Self.page(101, threads: [2, 3])], to: 1)
    let outcome = try TraceDatOutcome(file.version7())
    #expect(outcome.lines == ["101 0 2", "111 0 3"] && outcome.recording.clock == "mono")
    #expect(
      outcome.recording.warnings.first
        == "the top instance has another clock than the instance guests; it is not read")
  }

  /// Counts are those of all instances, as trace-cmd reports them.
  @Test(arguments: [6, 7])
  func instancesAreCountedAsTraceCmdDoes(version: Int) throws {
    var file = Builder()
    file.instances.append(Builder.Instance(name: "guests", clock: "local"))
    file.add(0, [Self.page(100, threads: [1, 2])])
    file.add(0, [Self.page(103, threads: [7, 8, 9])], to: 1)
    let copy = TemporaryFile(version == 6 ? file.version6() : file.version7())
    let text = try #require(Command.output("trace-cmd report -t -N -i '\(copy.path)'"))
    let said = text.split(separator: "\n").count { $0.contains("kvm_entry:") }
    let outcome = try TraceDatOutcome(version == 6 ? file.version6() : file.version7())
    #expect(said == 5 && outcome.lines.count == said)
  }

  @Test func optionsAreReadOrSkipped() throws {
    var file = Builder()
    file.add(0, [Self.page(100, 1)])
    var guest = ByteWriter()
    guest.text("g1")
    guest.add(UInt64(77))
    guest.add(UInt32(2))
    for value in [0, 4001, 1, 4002] as [UInt32] { guest.add(value) }
    var shift = ByteWriter()
    shift.add(UInt64(1))
    shift.add(UInt64(0))
    file.options = [
      (25, [1, 2, 3]), (999, []), (11, UInt64(5).bytes), (12, shift.bytes), (13, guest.bytes),
      (13, [65]), (14, [1]), (8, [4, 0, 0, 0]), (5, Array("Linux a 6.1.0 aarch64\0".utf8)),
    ]
    let outcome = try TraceDatOutcome(file.version7())
    #expect(outcome.lines == ["100 0 1"])
    #expect(
      outcome.recording.guests == [
        RecordedGuest(name: "g1", threads: [0: 4001, 1: 4002], traceID: 77)
      ])
    #expect(outcome.recording.traceID == 5 && outcome.recording.hostTraceID == 1)
    #expect(outcome.recording.cpusOnline == 4)
    #expect(outcome.recording.osRelease == "6.1.0")
    #expect(outcome.recording.architecture == "aarch64")
    #expect(outcome.recording.warnings.count == 1)
    #expect(outcome.recording.warnings.first?.contains("TIME_SHIFT) is empty") == true)
  }

  @Test func hiddenSymbolsAreNoKernelText() throws {
    var file = Builder()
    file.add(0, [Self.page(100, 1)])
    file.symbols = "0000000000000000 T _text\n0000000000000000 T _stext\n"
    #expect(try TraceDatOutcome(file.version7()).recording.kernelText == nil)
    file.symbols = "ffff0000 T not_stext\nffff800008010000 T _stext\n"
    #expect(try TraceDatOutcome(file.version7()).recording.kernelText?.symbol == "_stext")
  }
}
