import Bytes

/// One pass over the lines that delivers the events in time order.
///
/// The writers merge the pCPUs' buffers as they print, so lines are nearly sorted. ``RoundSorter``
/// puts them in order in rounds of ``roundSize`` lines: a line may come one round late.
struct TextPass {
  static let roundSize = 8192

  private var sorter = RoundSorter()
  private var waitingCount = 0
  private var lastDelivered: UInt64 = 0
  /// Losses that wait for the next event of their pCPU.
  private var openLosses: [Int32: UInt64] = [:]
  private var decoder: TextDecoder
  private(set) var span = TimeSpans()
  private(set) var losses = Losses()
  private(set) var lateCount: UInt64 = 0
  private(set) var trend = TimeTrend()

  typealias Body = (borrowing Event) -> Void

  init(_ scan: borrowing TextScan) {
    decoder = TextDecoder(
      isKernelText: scan.form.isKernelText,
      usesHashedPointers: !scan.table.events.contains {
        $0.probe?.fields.contains("vcpu") ?? false
      },
      doubts: scan.doubts)
    losses.samples = scan.form.overwritten
  }

  /// What was odd, of the scan and of this pass.
  var doubts: TextDoubts { decoder.doubts }

  mutating func run(_ bytes: RawSpan, _ table: borrowing TextEventTable, _ body: Body) {
    var walk = LineWalk()
    while walk.next(bytes) {
      guard walk.end &- walk.start <= LineWalk.limit,
        let line = bytes.slice(at: walk.start, count: walk.end &- walk.start)
      else { continue }
      switch TextLine(line) {
      case .event(let head):
        takeTime(head)
        // The end of a line without one may be missing.
        guard !walk.isCut, let index = table.known(line, head), table.events[index].isDelivered
        else { break }
        add(head, walk, UInt16(truncatingIfNeeded: index), raw: head.values)
      case .record(let head): takeRecord(line, head, walk)
      case .lost(let cpu, let count): openLosses[cpu, default: 0].saturatingAdd(count)
      case .bufferStarted(let cpu): openLosses[cpu, default: 0].saturatingAdd(0)
      case .tracer(let head):
        takeTime(head)
        if !walk.isCut, TextDecoder.function(line, head) != nil {
          add(head, walk, PendingRecord.function, raw: head.nameStart)
        }
      case .idle, .unknown: break
      }
      if waitingCount >= Self.roundSize {
        sorter.finishRound()
        deliver(bytes, table, body)
      }
    }
    for cpu in openLosses.keys.sorted() { addLoss(sorter.newest, cpu, openLosses[cpu] ?? 0) }
    sorter.finish()
    deliver(bytes, table, body)
  }

  /// Every event counts for where its pCPU's part begins and ends, and for where a loss ends.
  @inline(__always)
  private mutating func takeTime(_ head: LineHead) {
    _ = span.note(head.time, cpu: UInt32(bitPattern: head.cpu))
    if !openLosses.isEmpty, let count = openLosses.removeValue(forKey: head.cpu) {
      addLoss(head.time, head.cpu, count)
    }
  }

  /// The record's chunk is its line's number: all bytes are in the file.
  @inline(__always)
  private mutating func add(_ head: LineHead, _ walk: LineWalk, _ source: UInt16, raw: Int) {
    waitingCount &+= 1
    trend.note(head.time)
    sorter.add(
      PendingRecord(
        time: head.time, offset: UInt64(walk.start),
        chunk: UInt32(truncatingIfNeeded: walk.number), source: source,
        raw: UInt16(truncatingIfNeeded: raw)))
  }

  /// A loss has its count and pCPU where other records have their place.
  private mutating func addLoss(_ time: UInt64, _ cpu: Int32, _ count: UInt64) {
    losses.byCPU[cpu, default: 0].saturatingAdd(count)
    waitingCount &+= 1
    sorter.add(
      PendingRecord(
        time: time, offset: count, chunk: UInt32(bitPattern: cpu), source: PendingRecord.lost,
        raw: 0))
  }

  private mutating func takeRecord(_ line: RawSpan, _ head: LineHead, _ walk: LineWalk) {
    switch TextDecoder.record(line, head) {
    case .lost(let count): addLoss(head.time, head.cpu, count)
    case .fork where head.time > 0 && !walk.isCut:
      add(head, walk, PendingRecord.fork, raw: head.nameStart &+ TextDecoder.fork.bytes.count)
    default: break
    }
  }

  private mutating func deliver(
    _ bytes: RawSpan, _ table: borrowing TextEventTable, _ body: Body
  ) {
    for index in 0..<sorter.releasedCount {
      let record = sorter.ready[index]
      if record.time < lastDelivered { lateCount += 1 } else { lastDelivered = record.time }
      if record.source == PendingRecord.lost {
        body(
          Event(
            time: record.time, cpu: Int32(bitPattern: record.chunk), pid: -1, tid: -1,
            payload: .lost(count: record.offset)))
        continue
      }
      let line = LineWalk.line(bytes, at: Int(truncatingIfNeeded: record.offset))
      guard let head = LineHead(line), let payload = payload(line, record, table) else { continue }
      let pid = record.source == PendingRecord.fork ? -1 : head.pid
      body(
        Event(time: record.time, cpu: head.cpu, pid: pid, tid: head.tid, payload: payload))
    }
    _ = sorter.removeReleased()
    waitingCount = 0
  }

  private mutating func payload(
    _ line: RawSpan, _ record: PendingRecord, _ table: borrowing TextEventTable
  ) -> Event.Payload? {
    let values = Int(record.raw)
    if record.source == PendingRecord.fork { return TextDecoder.fork(line, values) }
    if record.source == PendingRecord.function {
      return LineHead(line).flatMap { TextDecoder.function(line, $0) }
    }
    let index = Int(record.source)
    return decoder.payload(line, values, table, index, number: Int(record.chunk))
  }
}
