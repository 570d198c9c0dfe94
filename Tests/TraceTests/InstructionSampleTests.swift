import Glibc
import Testing
import Trace

/// Samples that say which instructions ran, against what `perf script` prints of them.
struct InstructionSampleTests {
  typealias Sample = PerfDataBuilder.Sample

  /// A sample as `perf script -F ip,addr,brstack` has it: numbers alone, the newest branch first.
  private struct Line: Equatable {
    var ip: UInt64
    var addr: UInt64?
    var branches: [TakenBranch]
  }

  private struct Reading: Equatable {
    var lines: [Line] = []
    var cpus: [Int32] = []
    var threads: [Int32] = []
    var warnings: [String] = []

    init(_ path: String, where fits: (InstructionSource) -> Bool = { _ in true }) throws {
      var file = try PerfDataFile(path: path)
      let wanted = Set(file.recording.instructionSources.filter(fits).map(\.number))
      var lines: [Line] = []
      var cpus: [Int32] = []
      var threads: [Int32] = []
      func take(_ sample: borrowing InstructionSample) {
        guard wanted.contains(sample.source) else { return }
        var line = Line(ip: sample.address ?? 0, addr: nil, branches: [])
        switch sample.content {
        case .branch(let branch): line.addr = branch.to
        case .stack(let list): line.branches = list.reversed()
        case .instruction, .lost: break
        }
        lines.append(line)
        cpus.append(sample.cpu)
        threads.append(sample.tid)
      }
      try file.readEvents(instructions: take) { _ in }
      self.lines = lines
      self.cpus = cpus
      self.threads = threads
      warnings = file.recording.warnings
    }
  }

  /// What perf prints; entries without addresses are slots that the hardware had not filled.
  private static func script(_ path: String, _ fields: String) -> [Line] {
    let text = Command.output("perf script -f -i '\(path)' -F \(fields) </dev/null") ?? ""
    let names = fields.split(separator: ",")
    return text.split(separator: "\n").map { line in
      // Of branches: "ip => addr".
      var words = line.split(separator: " ").filter { $0 != "=>" }
      func number(_ text: Substring) -> UInt64 {
        UInt64(text.hasPrefix("0x") ? text.dropFirst(2) : text, radix: 16) ?? 0
      }
      let ip = words.isEmpty ? 0 : number(words.removeFirst())
      let addr = names.contains("addr") && !words.isEmpty ? number(words.removeFirst()) : nil
      let branches = words.compactMap { word -> TakenBranch? in
        let parts = word.split(separator: "/")
        guard parts.count > 2 else { return nil }
        let branch = TakenBranch(from: number(parts[0]), to: number(parts[1]))
        return branch.from | branch.to == 0 ? nil : branch
      }
      return Line(ip: ip, addr: addr, branches: branches)
    }
  }

  private static let folder =
    Corpus.root + "/fixtures/google+perf_data_converter/src/quipper/testdata/perf.data."

  @Test(
    .enabled(if: Corpus.isPresent, "needs ../shared"),
    arguments: [("branch-4.14", 13, 416, 13), ("branch_stack_hw_index", 5, 116, 5)])
  func branchStacksAreThoseOfPerfScript(
    name: String, samples: Int, pairs: Int, stacks: Int
  ) throws {
    let path = Self.folder + name
    let expected = Self.script(path, "ip,brstack")
    let found = try Reading(path) { $0.kind == .stacks }
    #expect(found.lines == expected)
    #expect(found.lines.count == samples)
    let text = Command.output("perf script -f -i '\(path)' -F brstack </dev/null") ?? ""
    #expect(text.split { $0 == " " || $0 == "\n" }.count == pairs)
    #expect(found.lines.count { !$0.branches.isEmpty } == stacks)
    #expect(found.warnings == [])

    // In other encodings.
    let pieces = PerfPieces(try bytes(path))
    let swapped = SwappedPieces(pieces)
    for file in [pieces.pipeMode(), swapped.fileMode(), swapped.pipeMode()] {
      let other = TemporaryFile(file)
      let reading = try Reading(other.path) { $0.kind == .stacks }
      #expect(reading.lines == found.lines)
      #expect(reading.cpus == found.cpus && reading.threads == found.threads)
    }
    var packed = pieces
    packed.records = Self.compressed(pieces.records)
    let stream = TemporaryFile(packed.pipeMode())
    #expect(try Reading(stream.path) { $0.kind == .stacks }.lines == found.lines)
  }

  private static func compressed(_ records: [UInt8]) -> [UInt8] {
    var writer = ByteWriter()
    let stream = StoredZstd.stream(records)
    for start in stride(from: 0, to: stream.count, by: 5000) {
      let piece = Array(stream[start..<min(start + 5000, stream.count)])
      writer.add(UInt32(81))
      writer.add(UInt16(0))
      writer.add(UInt16(8 + piece.count))
      writer.add(piece)
    }
    return writer.bytes
  }

  /// Files of others whose samples are no tracepoints.
  @Test(
    .enabled(if: Corpus.isPresent, "needs ../shared"),
    arguments: [
      "singleprocess-3.8", "lost_samples-4.4", "ctx_switch_namespaces-4.14", "group_desc-4.14",
      "piped.target.throttled-3.4", "piped.header_features_aligned-6.12",
    ])
  func addressesAreThoseOfPerfScript(name: String) throws {
    let path = Self.folder + name
    let expected = Self.script(path, "ip").map(\.ip)
    #expect(!expected.isEmpty)
    #expect(try Reading(path).lines.map(\.ip).sorted() == expected.sorted())
  }

  /// Fields before and behind the branch stack, of any layout.
  @Test(.enabled(if: Corpus.hasPerf, "needs perf"), arguments: 0..<24 as Range<UInt64>)
  func anyLayout(seed: UInt64) throws {
    var random = SplitMix(state: seed)
    var type = Sample.ip | Sample.tid | Sample.time
    for bit in [
      Sample.addr, Sample.cpu, Sample.period, Sample.streamID, Sample.identifier, Sample.id,
      Sample.raw, Sample.weight, Sample.physicalAddress, Sample.cgroup, Sample.userRegisters,
    ] where Bool.random(using: &random) { type |= bit }
    let hasStack = seed % 4 != 0
    if hasStack { type |= Sample.branchStack }
    var attribute = PerfDataBuilder.Attribute(
      type: 0, config: hasStack ? 0 : 4, sampleType: type, ids: [9])
    attribute.branchSampleType = BranchStack.any | (seed % 2 == 0 ? BranchStack.hardwareIndex : 0)
    if type & Sample.userRegisters != 0 { attribute.registers = 0b11 }
    var file = PerfDataBuilder()
    file.attributes = [attribute]
    for time in 1...5 as ClosedRange<UInt64> {
      var execution = PerfDataBuilder.Execution()
      execution.ip = UInt64.random(in: 1...(.max), using: &random)
      execution.addr = UInt64.random(in: 1...(.max), using: &random)
      if hasStack {
        for _ in 0..<Int.random(in: 0...40, using: &random) {
          execution.branches.append(
            TakenBranch(
              from: .random(in: 1...(.max), using: &random),
              to: .random(in: 0...(.max), using: &random)))
        }
      }
      var tail = ByteWriter()
      // REGS_USER (ABI, two registers), WEIGHT, PHYS_ADDR, CGROUP.
      if type & Sample.userRegisters != 0 { for word in [2, 7, 8] { tail.add(UInt64(word)) } }
      for bit in [Sample.weight, Sample.physicalAddress, Sample.cgroup] where type & bit != 0 {
        tail.add(UInt64(77))
      }
      execution.tail = tail.bytes
      file.sample(attribute, id: 9, time: time, raw: [1, 2, 3, 4, 5], execution: execution)
    }
    let whole = TemporaryFile(file.bytes())
    let fields = hasStack ? "ip,brstack" : type & Sample.addr != 0 ? "ip,addr" : "ip"
    let expected = Self.script(whole.path, fields)
    let found = try Reading(whole.path)
    #expect(expected.count == 5)
    #expect(found.lines == expected, "sample type \(String(type, radix: 2))")
    #expect(found.warnings == [])
  }

  /// Sample types that differ from event to event, told apart by IDENTIFIER.
  @Test
  func severalEventsOfDifferentLayouts() throws {
    var file = PerfDataBuilder()
    let usual = Sample.identifier | Sample.ip | Sample.tid | Sample.time | Sample.cpu
    let tracepoint = PerfDataBuilder.Attribute(
      config: UInt64(Formats.entryID), sampleType: usual | Sample.period | Sample.raw, ids: [1])
    let branches = PerfDataBuilder.Attribute(
      type: 0, config: 4, sampleType: usual | Sample.addr, ids: [2])
    var instructions = PerfDataBuilder.Attribute(
      type: 0, config: 1, sampleType: usual | Sample.period, period: 1000, ids: [3])
    instructions.readFormat = 4
    file.attributes = [tracepoint, branches, instructions]
    file.sample(
      branches, id: 2, time: 30, cpu: 1, execution: .init(ip: 0x300, addr: 0x400), misc: 1)
    file.sample(tracepoint, id: 1, time: 20, raw: Formats.entryRaw(pc: 0x42))
    file.sample(instructions, id: 3, time: 10, tid: 8, execution: .init(ip: 0x100), misc: 5)
    let whole = TemporaryFile(file.bytes())
    var reader = try PerfDataFile(path: whole.path)
    var order: [String] = []
    func take(_ sample: borrowing InstructionSample) {
      order.append(
        "\(sample.time) \(sample.cpu) \(sample.tid) \(sample.mode) \(sample.address ?? 0) "
          + "\(sample.content)")
    }
    try reader.readEvents(instructions: take) { order.append("\($0.time) event") }
    #expect(
      order == [
        "10 0 8 guest 256 instruction", "20 event",
        "30 1 7 kernel 768 branch(Trace.TakenBranch(from: 768, to: 1024))",
      ])
    let sources = reader.recording.instructionSources
    #expect(sources.map(\.kind) == [.branches, .instructions])
    #expect(sources.map(\.isEvery) == [true, false])
    #expect(sources.map(\.isSpeculative) == [false, false])
    // Nobody asks: nothing changes.
    var events = 0
    try reader.readEvents { _ in events += 1 }
    #expect(events == 1)
    #expect(reader.recording.recordedEvents.map(\.count) == [1, 1, 1])
  }

  /// nr that is more than the record holds, and records cut within the entries.
  @Test(arguments: [41, 1 << 20, UInt64.max / 24 + 1, UInt64.max])
  func stacksThatDoNotFit(claimed: UInt64) throws {
    var attribute = PerfDataBuilder.Attribute(
      type: 0, config: 0,
      sampleType: Sample.ip | Sample.tid | Sample.time | Sample.branchStack)
    attribute.branchSampleType = BranchStack.any | BranchStack.hardwareIndex
    let execution = PerfDataBuilder.Execution(
      branches: Array(repeating: TakenBranch(from: 1, to: 2), count: 40))
    let body = PerfDataBuilder.sampleBody(attribute, time: 1, raw: [], execution: execution)
    var file = PerfDataBuilder()
    file.attributes = [attribute]
    // IP, TID, TIME, nr.
    var wrong = ByteWriter()
    wrong.add(Array(body[..<24]))
    wrong.add(claimed)
    wrong.add(Array(body[32...]))
    file.record(RecordKind.sample, wrong.bytes)
    for size in [24, 28, 32, 36, 40, 63, body.count - 1] {
      file.record(RecordKind.sample, Array(body[..<size]))
    }
    file.record(RecordKind.sample, body)
    let whole = TemporaryFile(file.bytes())
    let found = try Reading(whole.path)
    #expect(found.lines.map(\.branches.count) == [40])
    #expect(found.warnings.count == 2 && found.warnings[0].hasPrefix("8 samples are shorter"))
  }

  /// What the recording says of pieces that are missing.
  @Test
  func gapsAreCounted() throws {
    var file = PerfDataBuilder()
    let attribute = PerfDataBuilder.Attribute(
      type: 0, config: 4, sampleType: Sample.usual & ~Sample.raw | Sample.addr)
    file.attributes = [attribute]
    func aux(_ flags: UInt64) -> [UInt8] {
      var body = ByteWriter()
      for word in [0, 4096, flags] { body.add(word) }
      return body.bytes
    }
    file.record(11, aux(0))
    for flag in [1, 2, 4, 8] as [UInt64] { file.record(11, aux(flag)) }
    // CORESIGHT_FORMAT_RAW: a format, no gap.
    file.record(11, aux(1 << 8))
    file.record(72, [UInt8](repeating: 0, count: 112))
    file.record(5, [UInt8](repeating: 0, count: 24))
    file.sample(attribute, time: 1, execution: .init(ip: 0x10, addr: 0x20))
    let whole = TemporaryFile(file.bytes())
    var reader = try PerfDataFile(path: whole.path)
    try reader.readEvents { _ in }
    #expect(reader.recording.instructionGaps == 6)
  }

  /// SPE's operations may be dropped again, PERF_TYPE_SYNTH is power events, dummies have no samples.
  @Test
  func whatCountsAsEvidence() {
    func source(
      _ type: UInt32, _ config: UInt64, _ sampleType: UInt64, period: UInt64 = 1,
      branches: UInt64 = 0, flags: UInt64 = 0
    ) -> InstructionSource? {
      var attr = ByteWriter()
      attr.add(type)
      attr.add(UInt32(112))
      for word in [config, period, sampleType, 0, flags, 0, 0, 0, branches, 0, 0] {
        attr.add(word)
      }
      let bytes = attr.bytes
      return unsafe PerfAttribute(bytes.span.bytes, isSwapped: false)?.instructionSource(
        0, name: "x")
    }
    let ip = Sample.ip
    let stack = Sample.branchStack
    #expect(source(2, 55, ip) == nil)
    #expect(source(1, 9, ip) == nil && source(1, 2, ip) == nil && source(5, 0, ip) == nil)
    #expect(source(1 << 31, 0, ip) == nil)
    #expect(source(0, 0, Sample.tid) == nil)
    #expect(source(0, 4, ip | Sample.addr)?.kind == .branches)
    #expect(source(0, 4, ip | Sample.addr)?.isEvery == true)
    #expect(source(0, 4, ip | Sample.addr, period: 2)?.isEvery == false)
    #expect(source(0, 4, ip | Sample.addr, flags: 1 << 10)?.isEvery == false)
    #expect(source(0, 4, ip)?.kind == .instructions)
    #expect(source(0, 4, ip)?.isEvery == false)
    #expect(source(0, 1, ip)?.isEvery == true)
    #expect(source(8, 1, ip)?.isEvery == false)
    #expect(source(0, 1, ip | Sample.dataSource)?.isSpeculative == true)
    #expect(source(0, 0, ip | stack, branches: BranchStack.any)?.kind == .stacks)
    #expect(source(0, 0, ip | stack, branches: BranchStack.any | 1 << 1)?.isEvery == true)
    #expect(source(0, 0, ip | stack, branches: BranchStack.any | 1 << 0)?.isEvery == false)
    #expect(source(0, 0, ip | stack, branches: 1 << 4)?.isEvery == false)
    #expect(
      source(0, 0, ip | stack, branches: BranchStack.any | BranchStack.callStack)?.isEvery == false)
    #expect(source(0, 0, ip | stack, branches: BranchStack.hardwareIndex)?.isEvery == true)
  }
}
