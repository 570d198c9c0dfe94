import Bytes

/// One pass over the lines that delivers the events in time order.
///
/// The writers merge the pCPUs' buffers as they print, so lines are nearly sorted. ``RoundSorter``
/// puts them in order in rounds of ``roundSize`` lines: a line may come one round late. Where a first scan found
/// lines that come later (``TextOrder``), all of the text is one round.
///
/// What its head says of a line that waits is kept beside the sorter. The end of a round delivers all lines of the
/// rounds before it (``RoundSorter``), so two rounds' are enough:
///
///     round   0  1  2  3
///     tasks   a  b  a  b
struct TextPass {
  static let roundSize = 8192

  /// What the head of a line says, but for the time.
  private struct Task: BitwiseCopyable {
    var cpu: Int32
    var tid: Int32
    var pid: Int32
    /// Of the line, from 1.
    var number: UInt32
    /// Of the line, in bytes.
    var length: UInt16
  }

  private var tasks: [[Task]] = [[], []]
  /// Of the round that is read.
  private var parity = 0
  private var sorter = RoundSorter()
  private var waitingCount = 0
  private var lastDelivered: UInt64 = 0
  /// Losses that wait for the next event of their pCPU.
  private var openLosses: [Int32: UInt64] = [:]
  private var decoder: TextDecoder
  private(set) var span = TimeSpans()
  private(set) var losses = Losses()
  private(set) var lateCount: UInt64 = 0

  typealias Body = (borrowing Event) -> Void

  /// All lines wait for the end: only the whole is in order.
  private let isWhole: Bool

  init(_ scan: borrowing TextScan) {
    isWhole = scan.order.isShuffled
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

  /// Takes the lines that begin before `limit`, in bytes.
  mutating func advance(
    to limit: Int, _ bytes: RawSpan, _ walk: inout LineWalk, _ table: borrowing TextEventTable,
    _ body: Body
  ) {
    while walk.position < limit, walk.next(bytes) {
      guard walk.end &- walk.start <= LineWalk.limit,
        let line = bytes.slice(at: walk.start, count: walk.end &- walk.start)
      else { continue }
      switch TextLine(line) {
      case .event(let head):
        takeTime(head)
        // The end of a line without one may be missing.
        guard !walk.isCut, let index = table.known(line, head), table.isDelivered(index)
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
      if waitingCount >= Self.roundSize, !isWhole {
        sorter.finishRound()
        deliver(bytes, table, body)
      }
    }
  }

  /// The end of the text.
  mutating func finish(_ bytes: RawSpan, _ table: borrowing TextEventTable, _ body: Body) {
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

  /// The record's chunk is where its task is: the round's parity, and the index.
  @inline(__always)
  private mutating func add(_ head: LineHead, _ walk: LineWalk, _ source: UInt16, raw: Int) {
    waitingCount &+= 1
    let place = UInt32(truncatingIfNeeded: tasks[parity].count) << 1 | UInt32(parity)
    tasks[parity].append(
      Task(
        cpu: head.cpu, tid: head.tid, pid: head.pid,
        number: UInt32(truncatingIfNeeded: walk.number),
        length: UInt16(truncatingIfNeeded: walk.end &- walk.start)))
    sorter.add(
      PendingRecord(
        time: head.time, offset: UInt64(walk.start), chunk: place, source: source,
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
    var event = Event()
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
      let task = tasks[Int(record.chunk & 1)][Int(record.chunk >> 1)]
      guard
        let line = bytes.slice(
          at: Int(truncatingIfNeeded: record.offset), count: Int(task.length)),
        read(line, record, task, table, into: &event)
      else { continue }
      event.time = record.time
      event.cpu = task.cpu
      event.pid = record.source == PendingRecord.fork ? -1 : task.pid
      event.tid = task.tid
      body(event)
    }
    _ = sorter.removeReleased()
    waitingCount = 0
    parity ^= 1
    tasks[parity].removeAll(keepingCapacity: true)
  }

  private mutating func read(
    _ line: RawSpan, _ record: PendingRecord, _ task: Task, _ table: borrowing TextEventTable,
    into event: inout Event
  ) -> Bool {
    let values = Int(record.raw)
    switch record.source {
    case PendingRecord.fork, PendingRecord.function:
      let payload =
        record.source == PendingRecord.fork
        ? TextDecoder.fork(line, values)
        : LineHead(line).flatMap { TextDecoder.function(line, $0) }
      guard let payload else { return false }
      event.payload = payload
      return true
    default:
      return decoder.read(
        line, values, table, Int(record.source), number: Int(task.number), into: &event)
    }
  }
}
