import Bytes

/// One pass over the events of all CPUs, merged by time.
struct MergePass {
  let plan: RecordPlan
  let times: EventTimes
  /// See ``InstanceChoice/owners``.
  private let owners: [InstanceChoice.Key: Int]
  /// Records by source of the plan.
  private(set) var counts: [UInt64]
  private(set) var span = TimeSpans()
  private(set) var doubts = RecordDoubts()
  /// Losses that have a place, by pCPU.
  private(set) var lost: [Int32: UInt64] = [:]
  /// pCPUs with a loss whose count the ring buffer did not store.
  private(set) var uncounted: Set<Int32> = []

  private var heap = StreamHeap()
  private var hasBegun = false
  private var newest: UInt64 = 0

  typealias Body = (borrowing Event) -> Void

  init(_ plan: RecordPlan, _ times: EventTimes, owners: [InstanceChoice.Key: Int] = [:]) {
    self.owners = owners
    self.plan = plan
    self.times = times
    counts = Array(repeating: 0, count: plan.sources.count)
  }

  /// Takes the next `count` events; whether there are more.
  mutating func advance(
    _ count: Int, _ file: RawSpan, _ streams: inout [CPUStream], _ slots: inout InflatedSlots,
    _ body: Body
  ) -> Bool {
    if !hasBegun {
      hasBegun = true
      for number in streams.indices where streams[number].advance(file, &slots) != .end {
        heap.add(number, time: times.time(streams[number].time, streams[number].cpu))
      }
    }
    var event = Event()
    for _ in 0..<count {
      guard let (time, number) = heap.first else { return false }
      if time < newest { doubts.late += 1 } else { newest = time }
      let cpu = Int32(truncatingIfNeeded: streams[number].cpu)
      if streams[number].lost > 0 || streams[number].isWall {
        deliverLoss(streams[number], cpu, body)
      }
      // (As a whole it would be copied.)
      if streams[number].size > 0,
        let record = CPUStream.record(
          at: streams[number].offset, streams[number].size, streams[number].slot, file, slots)
      {
        take(
          record, time: time, cpu: cpu, buffer: streams[number].buffer, &event, body)
      }
      if streams[number].advance(file, &slots) == .end {
        heap.removeFirst()
      } else {
        heap.replaceFirst(time: times.time(streams[number].time, streams[number].cpu))
      }
    }
    return heap.first != nil
  }

  /// The events of the recording with what was counted so far; ftrace's own only where hit.
  var recordedEvents: [RecordedEvent] {
    plan.recorded.indices.compactMap { number in
      guard plan.isTold[number] || counts[number] > 0 else { return nil }
      var event = plan.recorded[number]
      event.count = counts[number]
      return event
    }
  }

  /// `counted`: by the ring buffer, at the end. It counts what the pages tell too, and more: what was
  /// not written as the buffer was full has no place.
  func losses(_ counted: [Int32: UInt64]) -> Losses {
    var losses = Losses()
    losses.byCPU = lost
    for (cpu, count) in counted {
      let placed = lost[cpu] ?? 0
      losses.byCPU[cpu] = max(placed, count)
      guard count > placed, !uncounted.contains(cpu) else { continue }
      losses.samples.saturatingAdd(count - placed)
      losses.samplesByCPU[cpu] = count - placed
    }
    return losses
  }

  private mutating func deliverLoss(_ stream: CPUStream, _ cpu: Int32, _ body: Body) {
    lost[cpu, default: 0].saturatingAdd(stream.lost)
    if !stream.isCounted { uncounted.insert(cpu) }
    body(
      Event(
        time: times.time(stream.time, stream.cpu), cpu: cpu, pid: -1, tid: -1,
        payload: .lost(count: stream.lost)))
  }

  @inline(__always)
  private mutating func take(
    _ record: RawSpan, time: UInt64, cpu: Int32, buffer: Int, _ event: inout Event, _ body: Body
  ) {
    guard let type = plan.type.read(record) else {
      doubts.shortRecords += 1
      return
    }
    let number = plan.source(ofType: type)
    guard number >= 0 else {
      doubts.unknownEvents += 1
      return
    }
    counts[number] += 1
    guard span.note(time, cpu: UInt32(bitPattern: cpu)) else {
      doubts.impossibleCPUs += 1
      return
    }
    let source = plan.sources[number]
    guard source.isDelivered else { return }
    let thread = source.thread.int32(record) ?? -1
    if !owners.isEmpty,
      let owner = owners[
        InstanceChoice.Key(source: number, cpu: UInt32(bitPattern: cpu), thread: thread)],
      owner != buffer
    {
      return
    }
    let isWhole =
      source.probeDecoder >= 0
      ? plan.probes[source.probeDecoder].read(record, into: &event)
      : plan.events[source.eventDecoder].read(record, into: &event)
    guard isWhole else {
      doubts.shortRecords += 1
      return
    }
    // The kernel's common_pid is a thread id; it does not record the process.
    event.time = time
    event.cpu = cpu
    event.pid = -1
    event.tid = thread
    body(event)
  }
}

/// From a ring buffer's time to that of events.
struct EventTimes {
  /// A guest's clock to its host's.
  var shift: TimeShift? { didSet { isShifted = shift != nil } }
  private var isShifted = false
  var scale: TimeScale?
  /// To be added, in nanoseconds.
  var offset: Int64

  init(offset: Int64 = 0) { self.offset = offset }

  @inline(__always)
  func time(_ ticks: UInt64, _ cpu: UInt32) -> UInt64 {
    var ticks = ticks
    if isShifted, let shift { ticks = shift.time(ticks, cpu: cpu) }
    let scaled = scale?.nanoseconds(ticks) ?? ticks
    return offset == 0 ? scaled : scaled &+ UInt64(bitPattern: offset)
  }
}

/// What was odd about the records of a pass, by kind.
struct RecordDoubts: Equatable {
  /// Records of an event without a format.
  var unknownEvents: UInt64 = 0
  /// Records shorter than their format.
  var shortRecords: UInt64 = 0
  /// Records of a CPU that cannot be.
  var impossibleCPUs: UInt64 = 0
  /// Records older than one before them.
  var late: UInt64 = 0

  /// Records that no ring buffer holds; without a format they can be of events that nobody copied one of.
  var areDamage: Bool { shortRecords + impossibleCPUs + late > 0 }

  /// Sentences for the user.
  var warnings: [String] {
    var said: [String] = []
    func say(_ count: UInt64, _ words: String) {
      if count > 0 { said.append("\(count) \(count == 1 ? "record" : "records") \(words)") }
    }
    say(unknownEvents, "of events without a format in this file: not used")
    say(shortRecords, "shorter than the format of their event: not used")
    say(impossibleCPUs, "of a CPU that cannot be: not used")
    say(late, "older than one before them on their CPU: delivered late")
    return said
  }
}
