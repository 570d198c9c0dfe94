import Bytes

/// What a line of a text recording is.
package enum TextLine {
  case event(LineHead)
  /// A line of perf's own: PERF_RECORD_LOST and the like; the name starts where the head says.
  case record(LineHead)
  /// A line with a head and no event: tracers like `function`. What it says starts where the head's name
  /// does.
  case tracer(LineHead)
  /// Events of this pCPU were lost before the next one of it; 0: how many is not said.
  case lost(cpu: Int32, count: UInt64)
  /// "##### CPU 1 buffer started ####": what the pCPU did before is overwritten.
  case bufferStarted(cpu: Int32)
  /// Blank lines, comments, stack dumps, headers.
  case idle
  case unknown

  private static let recordPrefix: TextPattern = "PERF_RECORD_"
  private static let fences: TextPattern = "##### CPU "
  private static let fenceEnd: TextPattern = " buffer started ####"
  private static let processor: TextPattern = "CPU:"
  private static let lostMark: TextPattern = " [LOST "
  private static let lostEnd: TextPattern = " EVENTS]"
  private static let droppedEnd: TextPattern = " EVENTS DROPPED]"
  private static let droppedUncounted: TextPattern = " [EVENTS DROPPED]"
  private static let headers: [TextPattern] = ["cpus=", "version = ", "CPU "]
  private static let frame: TextPattern = "=> "
  private static let clockSync: TextPattern = "trace_event_clock_sync: "

  package init(_ line: RawSpan) {
    guard let first = line.u8(at: 0) else {
      self = .idle
      return
    }
    if first == Character8.hash {
      self = Self.comment(line)
      return
    }
    if let head = LineHead(line) {
      // systrace writes "dummy-0000 [000] 0.0: 0: trace_event_clock_sync: ..." itself: nothing happened at 0.
      if head.time == 0, line.position(behind: Self.clockSync, from: head.nameStart) != nil {
        self = .idle
        return
      }
      if head.nameEnd > head.nameStart || line.starts(with: Self.recordPrefix, at: head.nameStart) {
        self =
          line.starts(with: Self.recordPrefix, at: head.nameStart) ? .record(head) : .event(head)
      } else {
        self = .tracer(head)
      }
      return
    }
    self = Self.other(line, first)
  }

  private static func comment(_ line: RawSpan) -> TextLine {
    var position = fences.bytes.count
    guard line.starts(with: fences, at: 0), let cpu = line.cpu(&position),
      line.starts(with: fenceEnd, at: position)
    else { return .idle }
    return .bufferStarted(cpu: cpu)
  }

  private static func other(_ line: RawSpan, _ first: UInt8) -> TextLine {
    var position = 0
    line.skipBlanks(&position)
    // Callchains of perf script begin with a tab.
    if position >= line.byteCount || first == Character8.tab { return .idle }
    if line.starts(with: frame, at: position) { return .idle }
    if line.starts(with: processor, at: 0) { return loss(line) }
    for header in headers where line.starts(with: header, at: 0) { return .idle }
    return .unknown
  }

  /// "CPU:1 [LOST 79967 EVENTS]" (trace_pipe), "CPU:0 [3593 EVENTS DROPPED]" (trace-cmd report).
  private static func loss(_ line: RawSpan) -> TextLine {
    var position = processor.bytes.count
    guard let cpu = line.cpu(&position) else { return .unknown }
    if line.starts(with: droppedUncounted, at: position) { return .lost(cpu: cpu, count: 0) }
    if line.starts(with: lostMark, at: position) {
      position += lostMark.bytes.count
      guard let count = line.decimal(&position), line.starts(with: lostEnd, at: position) else {
        return .unknown
      }
      return .lost(cpu: cpu, count: count)
    }
    position += 2
    guard let count = line.decimal(&position), line.starts(with: droppedEnd, at: position) else {
      return .unknown
    }
    return .lost(cpu: cpu, count: count)
  }
}

extension RawSpan {
  fileprivate func cpu(_ position: inout Int) -> Int32? {
    guard let number = decimal(&position), number < UInt64(TimeSpans.cpuLimit) else { return nil }
    return Int32(number)
  }
}

/// Steps through the lines of a file.
struct LineWalk {
  /// Longest line that is read, in bytes: positions in a line have 16 bits.
  static let limit = 65_535

  /// Where the next line starts, in bytes.
  private(set) var position = 0
  /// Of the last line, from 1.
  private(set) var number = 0
  /// Where the last line started and ended, without its newline (and a carriage return).
  private(set) var start = 0
  private(set) var end = 0
  /// The file ended before the line did.
  private(set) var isCut = false

  private static let escapedEnd: TextPattern = "\\n\\"

  @inline(__always)
  mutating func next(_ bytes: RawSpan) -> Bool {
    guard position < bytes.byteCount else { return false }
    start = position
    number &+= 1
    let newline = bytes.lineEnd(from: start)
    isCut = newline >= bytes.byteCount
    position = newline &+ 1
    end = Self.trimmed(bytes, start, newline)
    return true
  }

  /// The line that starts at `start`.
  @inline(__always)
  @_lifetime(copy bytes)
  static func line(_ bytes: RawSpan, at start: Int) -> RawSpan {
    let end = trimmed(bytes, start, bytes.lineEnd(from: start))
    guard let line = bytes.slice(at: start, count: end &- start) else { return RawSpan() }
    return line
  }

  @inline(__always)
  private static func trimmed(_ bytes: RawSpan, _ start: Int, _ newline: Int) -> Int {
    var end = newline
    if end > start, bytes.u8(at: end &- 1) == Character8.carriageReturn { end &-= 1 }
    // Old systrace pages hold the trace as a string of JavaScript.
    if end &- start >= 3, bytes.u8(at: end &- 1) == 92, bytes.starts(with: escapedEnd, at: end &- 3)
    {
      end &-= 3
    }
    return end
  }
}
