import Bytes

/// One pass over the lines that delivers the events in time order.
///
/// The writers merge the pCPUs' buffers as they print, so lines are nearly sorted. ``RoundSorter``
/// puts them in order in rounds of ``roundSize`` lines: a line may come one round late.
struct TextPass {
  static let roundSize = 8192

  private let isKernelText: Bool
  /// kvm_arm_setup_debug's hashed pointers are not those of the probes.
  private let usesHashedPointers: Bool
  private var sorter = RoundSorter()
  private var waitingCount = 0
  private var lastDelivered: UInt64 = 0
  /// Losses that wait for the next event of their pCPU.
  private var openLosses: [Int32: UInt64] = [:]
  private var symbols: [SymbolMemory]
  private(set) var span = TimeSpans()
  private(set) var losses = Losses()
  private(set) var doubts: TextDoubts
  private(set) var lateCount: UInt64 = 0

  typealias Body = (borrowing Event) -> Void

  /// The symbol an event's lines had last: probes have one each.
  private struct SymbolMemory {
    var bytes: [UInt8] = []
    var offset: UInt64 = 0
    var symbol = ""
  }

  init(_ scan: borrowing TextScan) {
    isKernelText = scan.form.isKernelText
    usesHashedPointers = !scan.table.events.contains { $0.probe?.fields.contains("vcpu") ?? false }
    symbols = Array(repeating: SymbolMemory(), count: scan.table.events.count)
    doubts = scan.doubts
    losses.samples = scan.form.overwritten
  }

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
      case .tracer, .idle, .unknown: break
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

  private static let lost: TextPattern = "PERF_RECORD_LOST lost "
  private static let fork: TextPattern = "PERF_RECORD_FORK("

  /// "PERF_RECORD_LOST lost 59" (perf script --show-lost-events), "PERF_RECORD_FORK(93:93):(89:89)"
  /// (--show-task-events).
  private mutating func takeRecord(_ line: RawSpan, _ head: LineHead, _ walk: LineWalk) {
    if line.starts(with: Self.lost, at: head.nameStart) {
      var position = head.nameStart &+ Self.lost.bytes.count
      guard let count = line.decimal(&position) else { return }
      addLoss(head.time, head.cpu, count)
    } else if line.starts(with: Self.fork, at: head.nameStart), head.time > 0, !walk.isCut {
      add(head, walk, PendingRecord.fork, raw: head.nameStart &+ Self.fork.bytes.count)
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
    let number = Int(record.chunk)
    if record.source == PendingRecord.fork { return Self.fork(line, values) }
    let index = Int(record.source)
    if let layout = table.events[index].probe {
      guard let hit = hit(line, values, layout, index) else {
        doubts.unreadValues.note(number)
        return nil
      }
      return .probe(hit)
    }
    guard let kind = table.events[index].kind else { return nil }
    if kind == .setupDebug { return setupDebug(line, values, number) }
    guard let payload = kind.payload(line, values) else {
      doubts.unreadValues.note(number)
      return nil
    }
    return payload
  }

  /// "93:93):(89:89)": the child's process and thread; the parent is the line's task.
  private static func fork(_ line: RawSpan, _ start: Int) -> Event.Payload? {
    var position = start
    guard let process = line.decimal(&position), line.u8(at: position) == Character8.colon else {
      return nil
    }
    position += 1
    guard let thread = line.decimal(&position) else { return nil }
    return .fork(
      child: Int32(truncatingIfNeeded: thread), childPid: Int32(truncatingIfNeeded: process))
  }

  private static let masked: TextPattern = "(____ptrval____)"

  /// The kernel hashes the pointers that it prints to 32 bits, or masks them while it has no
  /// randomness; a hash is an identity, but not the probes'.
  private mutating func setupDebug(
    _ line: RawSpan, _ values: Int, _ number: Int
  ) -> Event.Payload? {
    guard let payload = TextEventKind.setupDebug.payload(line, values) else {
      if line.position(behind: Self.masked, from: values) != nil {
        doubts.maskedPointers.note(number)
      } else {
        doubts.unreadValues.note(number)
      }
      return nil
    }
    if case .setupDebug(let pointer) = payload, pointer >> 32 == 0, !usesHashedPointers {
      return nil
    }
    return payload
  }

  private mutating func hit(
    _ line: RawSpan, _ values: Int, _ layout: ProbeTextLayout, _ index: Int
  ) -> ProbeHit? {
    guard let place = ProbePlace(line, from: values, isKernelText: isKernelText) else { return nil }
    var hit = ProbeHit(
      address: place.address, isReturn: place.isReturn,
      fields: layout.values(line, from: place.end).fields)
    if place.symbolEnd > place.symbolStart { hit.symbol = symbol(line, place, index) }
    return hit
  }

  private mutating func symbol(_ line: RawSpan, _ place: ProbePlace, _ index: Int) -> String {
    let count = place.symbolEnd - place.symbolStart
    if symbols[index].bytes.count == count, symbols[index].offset == place.symbolOffset,
      (0..<count).allSatisfy({
        line.u8(at: place.symbolStart &+ $0) == symbols[index].bytes[$0]
      })
    {
      return symbols[index].symbol
    }
    let name = line.string(place.symbolStart, place.symbolEnd)
    symbols[index].bytes = Array(name.utf8)
    symbols[index].offset = place.symbolOffset
    symbols[index].symbol =
      place.symbolOffset == 0 ? name : "\(name)+0x\(String(place.symbolOffset, radix: 16))"
    return symbols[index].symbol
  }
}
