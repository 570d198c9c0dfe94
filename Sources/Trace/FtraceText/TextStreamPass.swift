import Bytes

/// The lines of a text as they come, and the events that wait for older ones.
package struct TextStreamPass {
  package private(set) var scan = TextScan()
  private(set) var span = TimeSpans()
  package private(set) var losses = Losses()
  package private(set) var lateCount: UInt64 = 0
  private var decoder: TextDecoder?
  private var window = ReorderWindow()
  private var hindsight = Hindsight(milliseconds: ReorderWindow.delay)
  private var lastDelivered: UInt64 = 0
  /// Losses that wait for the next event of their pCPU.
  private var openLosses: [Int32: UInt64] = [:]
  /// The beginning of a line whose end has not come.
  private var rest: [UInt8] = []
  /// Such a beginning was too long: all is skipped up to the line's end.
  private var isSkipping = false
  private var number = 0

  package init() {}

  package typealias Body = (borrowing Event) -> Void

  /// Takes the next bytes.
  package mutating func take(_ piece: [UInt8]) {
    guard let end = piece.lastIndex(of: Character8.newline) else {
      keep(piece[...])
      return
    }
    var lines = rest
    rest = []
    lines.append(contentsOf: piece[...end])
    take(lines: lines)
    keep(piece[(end + 1)...])
  }

  private mutating func keep(_ bytes: ArraySlice<UInt8>) {
    if isSkipping { return }
    rest.append(contentsOf: bytes)
    if rest.count > LineWalk.limit {
      isSkipping = true
      rest = []
    }
  }

  private mutating func take(lines: [UInt8]) {
    let bytes = lines.rawBytes
    var walk = LineWalk()
    while walk.next(bytes) {
      number += 1
      if isSkipping || walk.end &- walk.start > LineWalk.limit {
        isSkipping = false
        scan.takeLongLine(number: number)
        continue
      }
      guard let line = bytes.slice(at: walk.start, count: walk.end &- walk.start) else { continue }
      take(line)
    }
  }

  private mutating func take(_ line: RawSpan) {
    let kind = TextLine(line)
    let index = scan.take(line, kind, number: number, isCut: false)
    switch kind {
    case .event(let head):
      takeTime(head)
      guard let index, scan.table.isDelivered(index) else { return }
      if decoder == nil {
        // Hashed pointers would be other vCPUs than those of probes that are still to come.
        decoder = TextDecoder(isKernelText: scan.form.isKernelText, usesHashedPointers: false)
      }
      var event = Event(time: head.time, cpu: head.cpu, pid: head.pid, tid: head.tid)
      guard
        decoder?.read(line, head.values, scan.table, index, number: number, into: &event) == true
      else { return }
      window.add(event)
    case .record(let head): take(TextDecoder.record(line, head), head)
    case .lost(let cpu, let count): openLosses[cpu, default: 0].saturatingAdd(count)
    case .bufferStarted(let cpu): openLosses[cpu, default: 0].saturatingAdd(0)
    case .tracer(let head):
      takeTime(head)
      guard let payload = TextDecoder.function(line, head) else { return }
      window.add(
        Event(time: head.time, cpu: head.cpu, pid: head.pid, tid: head.tid, payload: payload))
    case .idle, .unknown: break
    }
  }

  private mutating func take(_ record: Event.Payload?, _ head: LineHead) {
    switch record {
    case .lost(let count): addLoss(head.time, head.cpu, count)
    case .fork where head.time > 0:
      guard let record else { return }
      window.add(Event(time: head.time, cpu: head.cpu, pid: -1, tid: head.tid, payload: record))
    default: break
    }
  }

  private mutating func takeTime(_ head: LineHead) {
    _ = span.note(head.time, cpu: UInt32(bitPattern: head.cpu))
    if !openLosses.isEmpty, let count = openLosses.removeValue(forKey: head.cpu) {
      addLoss(head.time, head.cpu, count)
    }
  }

  private mutating func addLoss(_ time: UInt64, _ cpu: Int32, _ count: UInt64) {
    losses.byCPU[cpu, default: 0].saturatingAdd(count)
    window.add(Event(time: time, cpu: cpu, pid: -1, tid: -1, payload: .lost(count: count)))
  }

  // MARK: Delivery

  /// Delivers what has waited long enough. `now`: milliseconds.
  package mutating func deliver(now: UInt64, _ body: Body) {
    var limit = hindsight.note(window.newest, at: now) ?? 0
    if scan.unit != .ticks, window.newest > ReorderWindow.span {
      limit = max(limit, window.newest - ReorderWindow.span)
    }
    deliver(upTo: limit, body)
  }

  package mutating func deliverAll(_ body: Body) { deliver(upTo: .max, body) }

  private mutating func deliver(upTo limit: UInt64, _ body: Body) {
    while let event = window.next(upTo: limit) {
      if event.time < lastDelivered {
        // What came between is known by now, and may be wrong without this one: a wall.
        lateCount += 1
        body(
          Event(
            time: lastDelivered, cpu: event.cpu, pid: -1, tid: -1, payload: .lost(count: 0)))
      } else {
        lastDelivered = event.time
      }
      body(event)
    }
  }

  /// The end of the stream. `isStopped`: the reader ended it, perhaps in the middle of a line.
  package mutating func finish(isStopped: Bool, _ body: Body) {
    let rest = self.rest
    if !isStopped, !rest.isEmpty {
      number += 1
      let line = rest.rawBytes
      let kind = TextLine(line)
      _ = scan.take(line, kind, number: number, isCut: true)
      if case .event(let head) = kind { takeTime(head) }
    }
    deliverAll(body)
    for cpu in openLosses.keys.sorted() { addLoss(window.newest, cpu, openLosses[cpu] ?? 0) }
    deliverAll(body)
    losses.samples = scan.form.overwritten
  }

  /// Sentences for the user about lines and order.
  package var warnings: [String] {
    var said = scan.doubts.warnings + (decoder?.doubts.warnings ?? [])
    if lateCount > 0 {
      said.append(
        "\(lateCount) event\(lateCount == 1 ? "" : "s") came out of order, more than "
          + "\(ReorderWindow.span / 1_000_000) ms late; what they touch is not known")
    }
    return said
  }
}
