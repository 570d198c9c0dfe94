import Bytes

/// What a first pass over all lines finds: the events there are, who wrote the text, what is odd.
package struct TextScan {
  var form = TextForm()
  package var table = TextEventTable()
  private(set) var doubts = TextDoubts()
  private(set) var unit: LineHead.TimeUnit?
  /// Some line has the process id beside the thread's.
  private(set) var hasProcesses = false
  private var options: [TextOption: Int] = [:]
  /// Lines with an event.
  private(set) var eventCount: UInt64 = 0
  private(set) var lineCount = 0
  /// Lines of the tracer `function`.
  private(set) var functionCount: UInt64 = 0
  /// The last line has no end, and is an event's.
  package private(set) var isCut = false
  private(set) var order = TextOrder()

  private static let failedMark: TextPattern = "[FAILED TO PARSE]"

  /// Nothing yet.
  init() {}

  /// Takes the lines that begin before `limit`, in bytes.
  mutating func advance(to limit: Int, _ bytes: RawSpan, _ walk: inout LineWalk) {
    while walk.position < limit, walk.next(bytes) {
      guard walk.end &- walk.start <= LineWalk.limit else {
        takeLongLine(number: walk.number)
        continue
      }
      guard let line = bytes.slice(at: walk.start, count: walk.end &- walk.start) else { continue }
      _ = take(line, TextLine(line), number: walk.number, isCut: walk.isCut)
    }
    lineCount = walk.number
  }

  mutating func takeLongLine(number: Int) {
    lineCount = number
    doubts.longLines.note(number)
  }

  /// Takes the next line, which is line `number` from 1. `isCut`: the text ended before it did. The
  /// event's index in ``table`` if it has one.
  @inline(__always)
  mutating func take(_ line: RawSpan, _ kind: TextLine, number: Int, isCut: Bool) -> Int? {
    lineCount = number
    switch kind {
    case .event(let head): return takeEvent(line, head, number, isCut)
    case .idle: form.takeIdle(line, number: number)
    case .tracer(let head):
      if TextDecoder.function(line, head) == nil || isCut {
        doubts.tracerLines.note(number)
      } else {
        functionCount &+= 1
        order.note(head.time, cpu: head.cpu, line: number)
      }
    case .unknown: takeUnknown(line, number, isCut)
    case .record, .lost, .bufferStarted: break
    }
    return nil
  }

  @inline(__always)
  private mutating func takeEvent(
    _ line: RawSpan, _ head: LineHead, _ number: Int, _ isCut: Bool
  ) -> Int? {
    if eventCount == 0 { form.takeFirst(line, head) }
    guard let index = table.index(line, head) else {
      doubts.namelessEvents.note(number)
      return nil
    }
    eventCount &+= 1
    table.count(index)
    order.note(head.time, cpu: head.cpu, line: number)
    if unit == nil { unit = head.unit }
    if head.pid >= 0 { hasProcesses = true }
    if line.u8(at: head.values) == Character8.openBracket,
      line.starts(with: Self.failedMark, at: head.values)
    {
      doubts.failedToParse.note(number)
    }
    if isCut { self.isCut = true }
    return index
  }

  private mutating func takeUnknown(_ line: RawSpan, _ number: Int, _ isCut: Bool) {
    if form.kind == nil { form.takeIdle(line, number: number) }
    if form.kind == .page { return }
    if let option = TextOption(line) { options[option, default: 0] += 1 }
    if isCut, eventCount > 0 { self.isCut = true }
    doubts.unreadLines.note(number)
  }

  /// Events that its header counts, and it has no lines of. (The tracer function_graph makes one line of two.)
  var absentCount: UInt64 {
    guard form.tracer == nil || form.tracer == "nop" else { return 0 }
    let lines = eventCount &+ functionCount &+ doubts.lineCount
    return form.promised > lines ? form.promised - lines : 0
  }

  /// Why this is no text that can be read; nil if it can.
  var refusal: TraceError.Code? {
    guard eventCount == 0, functionCount == 0 else { return nil }
    if let option = options.max(by: { ($0.value, $1.key.rawValue) < ($1.value, $0.key.rawValue) }) {
      if option.key != .bin || form.hasHeader { return .textOption(option.key.rawValue) }
    }
    if let tracer = form.tracer, tracer != "nop", doubts.hasUnreadLines {
      return .isTracerText(tracer)
    }
    return form.kind == nil || form.kind == .page ? .isNotFtraceText : nil
  }
}

/// Lines that were odd, by kind: how many, and which was the first.
struct TextDoubts {
  struct Tally {
    private(set) var count: UInt64 = 0
    private(set) var first = 0

    @inline(__always)
    mutating func note(_ line: Int) {
      if count == 0 { first = line }
      count &+= 1
    }
  }

  /// Longer than ``LineWalk/limit``.
  var longLines = Tally()
  /// Nothing that is known.
  var unreadLines = Tally()
  /// Lines of tracers (function and the like).
  var tracerLines = Tally()
  /// Events beyond ``TextEventTable/limit``.
  var namelessEvents = Tally()
  /// "[FAILED TO PARSE]", by the program that wrote the text.
  var failedToParse = Tally()
  /// Events whose values are not what the event prints.
  var unreadValues = Tally()
  /// Pointers or HCR_EL2 of which 32 bits were fetched.
  var narrowFields = Tally()
  /// kvm_arm_setup_debug with "(____ptrval____)".
  var maskedPointers = Tally()

  /// There are lines that say something, and it was not read.
  var hasUnreadLines: Bool { unreadLines.count > 0 || tracerLines.count > 0 }

  /// Lines that are no events to us, and may be the kernel's.
  var lineCount: UInt64 {
    longLines.count &+ unreadLines.count &+ tracerLines.count &+ namelessEvents.count
  }

  /// Sentences for the user.
  var warnings: [String] {
    var said: [String] = []
    func say(_ tally: Tally, _ one: String, _ many: String) {
      guard tally.count > 0 else { return }
      said.append(
        tally.count == 1
          ? "line \(tally.first) \(one)"
          : "\(tally.count) lines \(many) (the first is line \(tally.first))")
    }
    say(
      unreadLines, "is no event and is not used", "are no events and are not used")
    say(
      tracerLines, "is of a tracer, not an event, and is not used",
      "are of a tracer, not events, and are not used")
    say(
      longLines, "is longer than \(LineWalk.limit) bytes and is not used",
      "are longer than \(LineWalk.limit) bytes and are not used")
    say(
      namelessEvents, "has an event name too many or too long and is not used",
      "have event names too many or too long and are not used")
    say(
      failedToParse,
      "could not be formatted by the program that wrote it ([FAILED TO PARSE]); its raw fields "
        + "are used",
      "could not be formatted by the program that wrote them ([FAILED TO PARSE]); their raw "
        + "fields are used")
    say(
      unreadValues, "has values that its event does not print and is not used",
      "have values that their events do not print and are not used")
    say(
      narrowFields,
      "has 32 bits of a pointer or of hcr_el2, which has 64: that field is not used; fetch it as x64",
      "have 32 bits of a pointer or of hcr_el2, which has 64: those fields are not used; fetch them "
        + "as x64")
    say(
      maskedPointers, "has (____ptrval____) in place of a vCPU's pointer and is not used",
      "have (____ptrval____) in place of a vCPU's pointer and are not used")
    return said
  }
}
