import Bytes

/// One pass over the records of a file: what has been counted so far, and what waits for its turn.
struct ReadPass {
  let plan: SamplePlan
  /// What a FINISHED_ROUND means.
  enum Rounds {
    /// Order is certain up to the last one.
    case count
    /// Nothing: order is known at the end, or from elsewhere.
    case ignored
    /// Nothing, and nothing is delivered: only the oldest time is looked for.
    case survey
  }

  let rounds: Rounds
  private var oldest = UInt64.max
  /// By source; only of a survey.
  private(set) var shapes: [RecordShape] = []
  /// Samples by source.
  private(set) var counts: [UInt64]
  private(set) var losses = Losses()
  private(set) var sideBand: SideBand
  private(set) var span = TimeSpans()
  var doubts = Doubts()
  var sorter = RoundSorter()
  var repeats: RepeatedRecords
  var lastDelivered: UInt64 = 0
  /// Chunks with a smaller number hold nothing that waits.
  var oldestChunk = UInt32.max

  typealias Body = (borrowing Event) -> Void
  typealias InstructionBody = (borrowing InstructionSample) -> Void
  /// Takes what samples say about executed instructions; nil: they are counted only.
  let instructions: InstructionBody?
  /// Such samples wait for their turn as the events do.
  var queuesInstructions: Bool

  init(
    _ plan: SamplePlan, rounds: Rounds = .count, sideBand: SideBand = SideBand(),
    instructions: InstructionBody? = nil
  ) {
    self.instructions = instructions
    queuesInstructions = instructions != nil
    self.sideBand = sideBand
    self.plan = plan
    repeats = RepeatedRecords(hasCoarseClock: plan.hasCoarseClock)
    self.rounds = rounds
    counts = Array(repeating: 0, count: plan.sources.count)
    if rounds == .survey {
      shapes = Array(repeating: RecordShape(), count: plan.sources.count)
    }
  }

  /// Over a recording from its beginning.
  init(_ parts: Parts, rounds: Rounds = .count, instructions: InstructionBody?) {
    self.init(parts.plan, rounds: rounds, sideBand: parts.sideBand, instructions: instructions)
  }

  /// Takes the record that fills `record`; it starts at `offset` in `chunk` (0: the file).
  @inline(__always)
  mutating func take(
    _ record: RawSpan, type: UInt32, misc: UInt16, offset: Int, chunk: UInt32
  ) {
    if type != RecordKind.sample { noteHidden(record, isNone: type == 0) }
    switch type {
    case RecordKind.sample: takeSample(record, offset: offset, chunk: chunk)
    case RecordKind.lost: takeLost(record, offset: offset, chunk: chunk)
    case RecordKind.fork: takeFork(record, offset: offset, chunk: chunk)
    case RecordKind.lostSamples: takeLostSamples(record, misc: misc)
    default: sideBand.take(record, type: type, misc: misc, isSwapped: plan.isSwapped)
    }
  }

  @inline(__always)
  private mutating func takeSample(_ record: RawSpan, offset: Int, chunk: UInt32) {
    guard let number = source(of: record) else {
      doubts.unknownEvents += 1
      return
    }
    let source = plan.glances[Int(number)]
    counts[Int(number)] += 1
    var time: UInt64?
    if source.time >= 0 {
      time = record.u64(at: Int(source.time))
      guard let time else {
        doubts.shortSamples += 1
        return
      }
      if source.cpu >= 0, let cpu = record.u32(at: Int(source.cpu)) {
        guard span.note(time, cpu: cpu) else {
          doubts.impossibleCPUs += 1
          return
        }
      } else {
        span.noteUnplaced(time)
      }
    }
    if source.isOfInstructions {
      guard queuesInstructions else { return }
      return queue(
        PendingRecord(
          time: time ?? sorter.newest, offset: UInt64(offset), chunk: chunk, source: number, raw: 0)
      )
    }
    guard source.isTracepoint else { return }
    guard let raw = raw(of: record, source, number), raw.size >= 2,
      let type = record.u16(at: raw.offset)
    else {
      doubts.shortSamples += 1
      return
    }
    guard type == source.commonType else {
      doubts.wrongTypes += 1
      return
    }
    guard !source.endsWithRaw || raw.offset &+ raw.size == record.byteCount else {
      doubts.longSamples += 1
      return
    }
    if rounds == .survey { shapes[Int(number)].note(record, raw) }
    guard source.isDelivered, let time else { return }
    queue(
      PendingRecord(
        time: time, offset: UInt64(offset), chunk: chunk, source: number,
        raw: UInt16(truncatingIfNeeded: raw.offset)))
  }

  /// Offset and size of the raw bytes; nil where the record is too short for what it says.
  @inline(__always)
  func raw(
    of record: RawSpan, _ source: SampleSource.Glance, _ number: UInt16
  ) -> (offset: Int, size: Int)? {
    guard source.raw >= 0 else { return plan.sources[Int(number)].layout.raw(record) }
    let place = Int(source.raw)
    guard let size = record.u32(at: place), Int(size) <= record.byteCount &- place &- 4 else {
      return nil
    }
    return (place &+ 4, Int(size))
  }

  @inline(__always)
  private mutating func queue(_ record: PendingRecord) {
    guard rounds != .survey else {
      if record.time < oldest { oldest = record.time }
      return
    }
    if record.chunk != 0, record.chunk < oldestChunk { oldestChunk = record.chunk }
    sorter.add(record)
  }

  /// Of a survey: the oldest time since the last call.
  mutating func takeOldest() -> UInt64 {
    defer { oldest = .max }
    return oldest
  }

  @inline(__always)
  func source(of record: RawSpan) -> UInt16? {
    switch plan.identity {
    case .single: return 0
    case .id(let place):
      guard let id = record.u64(at: place) else { return nil }
      let number = plan.index.source(of: id)
      return number == SourceIndex.none ? nil : number
    case .commonType(let types):
      guard let raw = plan.sources[0].layout.raw(record), let type = record.u16(at: raw.offset)
      else { return nil }
      return types[type]
    }
  }

  /// Of a record that is not used, or not as a sample. `isNone`: no record has its type.
  mutating func noteHidden(_ record: RawSpan, isNone: Bool = false) {
    if isNone || hasSample(record) { doubts.hiddenSamples += 1 }
  }

  /// An event's id and its raw bytes are in their places: no record but a sample is like that. No record at all
  /// has type 0.
  private func hasSample(_ record: RawSpan) -> Bool {
    guard let number = source(of: record) else { return false }
    let source = plan.sources[Int(number)]
    guard source.isTracepoint, let raw = source.layout.raw(record), raw.size >= 2 else {
      return false
    }
    return record.u16(at: raw.offset) == source.commonType
  }

  /// The source whose layout the sample id at the end of `record` has.
  private func trailingSource(of record: RawSpan) -> Int {
    guard plan.trailingID > 0, let id = record.u64(at: record.byteCount - plan.trailingID) else {
      return 0
    }
    let number = plan.index.source(of: id)
    return number == SourceIndex.none ? 0 : Int(number)
  }

  /// The CPU in the sample id at the end of `record`, -1 if there is none.
  func trailingCPU(of record: RawSpan) -> Int32 {
    let layout = plan.sources[trailingSource(of: record)].layout
    guard layout.trailingCPU > 0,
      let said = record.u32(at: record.byteCount - Int(layout.trailingCPU)),
      said < TimeSpans.cpuLimit
    else { return -1 }
    return Int32(said)
  }

  /// PERF_RECORD_LOST: u64 id, u64 lost, sample id.
  private mutating func takeLost(_ record: RawSpan, offset: Int, chunk: UInt32) {
    guard let lost = record.u64(at: 16), lost > 0 else { return }
    let layout = plan.sources[trailingSource(of: record)].layout
    let cpu = trailingCPU(of: record)
    losses.byCPU[cpu, default: 0].saturatingAdd(lost)
    var time = sorter.newest
    if layout.trailingTime > 0,
      let said = record.u64(at: record.byteCount - Int(layout.trailingTime))
    {
      time = said
    }
    queue(
      PendingRecord(
        time: time, offset: UInt64(offset), chunk: chunk, source: PendingRecord.lost, raw: 0))
  }

  /// PERF_RECORD_FORK: u32 pid, ppid, tid, ptid, u64 time. Those that perf synthesises for threads
  /// that were there before it began have time 0.
  private mutating func takeFork(_ record: RawSpan, offset: Int, chunk: UInt32) {
    guard let time = record.u64(at: 24), time > 0 else { return }
    queue(
      PendingRecord(
        time: time, offset: UInt64(offset), chunk: chunk, source: PendingRecord.fork, raw: 0))
  }

  /// PERF_RECORD_LOST_SAMPLES: u64 lost, sample id. perf itself writes them at the end, where only
  /// the id says which event and CPU.
  private mutating func takeLostSamples(_ record: RawSpan, misc: UInt16) {
    guard misc & RecordHeader.lostSamplesBPF == 0, let lost = record.u64(at: 8), lost > 0 else {
      return
    }
    losses.samples.saturatingAdd(lost)
    if plan.trailingID > 0, record.byteCount >= 16 + plan.trailingID,
      let id = record.u64(at: record.byteCount - plan.trailingID), let cpu = sideBand.cpuByID[id]
    {
      losses.samplesByCPU[cpu, default: 0].saturatingAdd(lost)
    }
  }
}

extension UInt64 {
  /// Counts in a hostile file can be anything.
  mutating func saturatingAdd(_ other: UInt64) {
    let (sum, overflow) = addingReportingOverflow(other)
    self = overflow ? .max : sum
  }
}
