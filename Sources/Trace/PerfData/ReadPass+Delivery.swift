import Bytes

// In order of time: what was taken goes on as events.
extension ReadPass {
  /// A FINISHED_ROUND.
  mutating func finishRound(_ file: RawSpan, _ chunks: borrowing RecordChunks, _ body: Body) {
    guard rounds == .count else { return }
    repeats.finishRound(sorter.lastAdded)
    sorter.finishRound()
    deliver(file, chunks, body)
  }

  /// Nothing older than `time` will come.
  mutating func release(
    before time: UInt64, _ file: RawSpan, _ chunks: borrowing RecordChunks, _ body: Body
  ) {
    sorter.finish(before: time)
    deliver(file, chunks, body)
  }

  /// The end of the data.
  mutating func finish(_ file: RawSpan, _ chunks: borrowing RecordChunks, _ body: Body) {
    sorter.finish()
    deliver(file, chunks, body)
  }

  /// Delivers what the sorter has released.
  private mutating func deliver(
    _ file: RawSpan, _ chunks: borrowing RecordChunks, _ body: Body
  ) {
    var event = Event()
    for index in 0..<sorter.releasedCount {
      let record = sorter.ready[index]
      if record.time < lastDelivered { doubts.late += 1 } else { lastDelivered = record.time }
      let bytes = record.chunk == 0 ? file : chunks.chunk(record.chunk)
      let offset = Int(truncatingIfNeeded: record.offset)
      guard let size = bytes.u16(at: offset + 6),
        let whole = bytes.slice(at: offset, count: Int(size))
      else { continue }
      if index > 0, sorter.ready[index - 1].time == record.time,
        repeats.has(index, of: sorter.ready, whole, file, chunks)
      {
        doubts.repeated += 1
        continue
      }
      deliver(whole, record, &event, body)
    }
    oldestChunk = sorter.removeReleased()
  }

  /// - Parameter event: where it is decoded to.
  @inline(__always)
  private mutating func deliver(
    _ record: RawSpan, _ pending: PendingRecord, _ event: inout Event, _ body: Body
  ) {
    if pending.source >= PendingRecord.fork { return deliverNote(record, pending, body) }
    let source = plan.glances[Int(pending.source)]
    if source.isOfInstructions { return deliverInstructions(record, pending) }
    let start = Int(pending.raw)
    guard let size = record.u32(at: start - 4), let raw = record.slice(at: start, count: Int(size))
    else { return }
    let isWhole =
      source.decoder >= 0
      ? plan.probes[Int(source.decoder)].read(raw, into: &event)
      : plan.events[Int(~source.decoder)].read(raw, into: &event)
    guard isWhole else {
      doubts.shortSamples += 1
      return
    }
    let tid = Int(source.tid)
    let cpu = Int(source.cpu)
    event.time = pending.time
    event.cpu = cpu < 0 ? -1 : Int32(bitPattern: record.u32(at: cpu) ?? .max)
    event.pid = tid < 0 ? -1 : Int32(bitPattern: record.u32(at: tid) ?? .max)
    event.tid = tid < 0 ? -1 : Int32(bitPattern: record.u32(at: tid + 4) ?? .max)
    body(event)
  }

  /// What is no sample: a loss, or a thread that was created.
  private mutating func deliverNote(
    _ record: RawSpan, _ pending: PendingRecord, _ body: Body
  ) {
    if pending.source == PendingRecord.lost {
      let cpu = trailingCPU(of: record)
      let count = record.u64(at: 16) ?? 0
      body(Event(time: pending.time, cpu: cpu, pid: -1, tid: -1, payload: .lost(count: count)))
      instructions?(
        InstructionSample(
          time: pending.time, cpu: cpu, tid: -1, source: -1, mode: .unknown, content: .lost))
      return
    }
    if pending.source == PendingRecord.fork {
      guard let pid = record.u32(at: 8), let tid = record.u32(at: 16),
        let parent = record.u32(at: 20)
      else { return }
      body(
        Event(
          time: pending.time, cpu: trailingCPU(of: record), pid: -1,
          tid: Int32(bitPattern: parent),
          payload: .fork(child: Int32(bitPattern: tid), childPid: Int32(bitPattern: pid))))
    }
  }

  /// A sample that says which instructions ran.
  private mutating func deliverInstructions(_ record: RawSpan, _ pending: PendingRecord) {
    let layout = plan.sources[Int(pending.source)].layout
    guard let kind = plan.sources[Int(pending.source)].instructions else { return }
    func number(_ place: Int16) -> UInt64? { place < 0 ? nil : record.u64(at: Int(place)) }
    let content: InstructionSample.Content? =
      switch kind {
      case .branches:
        if let from = number(layout.ip), let to = number(layout.addr) {
          .branch(TakenBranch(from: from, to: to))
        } else {
          nil
        }
      case .instructions: number(layout.ip).map { _ in .instruction }
      case .stacks: layout.branchStack(record).map { .stack($0.branches(record)) }
      }
    guard let content else {
      doubts.shortSamples += 1
      return
    }
    let mode: InstructionSample.Mode =
      switch (record.u16(at: 4) ?? 0) & RecordHeader.cpuModeMask {
      case RecordHeader.cpuModeKernel, RecordHeader.cpuModeHypervisor: .kernel
      case RecordHeader.cpuModeUser: .user
      case RecordHeader.cpuModeGuestKernel, RecordHeader.cpuModeGuestUser: .guest
      default: .unknown
      }
    let tid = Int(layout.tid)
    let cpu = Int(layout.cpu)
    instructions?(
      InstructionSample(
        time: pending.time, cpu: cpu < 0 ? -1 : Int32(bitPattern: record.u32(at: cpu) ?? .max),
        tid: tid < 0 ? -1 : Int32(bitPattern: record.u32(at: tid + 4) ?? .max),
        source: Int(pending.source), mode: mode, address: number(layout.ip), content: content))
  }
}
