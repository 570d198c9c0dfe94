import Bytes

/// What stands in a line before the values of its event: task, CPU, time and name.
///
/// The forms differ, and tasks may be called anything (blanks, dashes and brackets included), so the
/// search is for what cannot vary: the CPU, with a task id before it and a time behind it.
///
///     bash-28285   (  28285) [000] d..2.  1347.861096: sys_exit: NR 1 = 2    trace, trace_pipe
///     vm0-vcpu0-90    [000]     5.735977936: kvm_entry:     PC: 0x400        trace-cmd report
///     migration/0 15/15 [000]     5.545569:  sched:sched_migrate_task: comm  perf script
///     bash-28285     0..... 48973us : sys_exit: NR 1 = 2                     latency-format
///
/// (kernel/trace/trace_output.c, trace_print_context and trace_print_lat_context; libtraceevent's
/// tep_print_event; tools/perf/builtin-script.c, perf_sample__fprintf_start.)
package struct LineHead: BitwiseCopyable {
  /// Nanoseconds, or ticks where ``unit`` says so.
  var time: UInt64 = 0
  var cpu: Int32 = 0
  var tid: Int32 = 0
  /// -1: the text does not have it.
  var pid: Int32 = -1
  /// Where the event's name starts and ends, its colon not included; empty for lines of tracers
  /// that are no events.
  var nameStart = 0
  var nameEnd = 0
  /// Where the values start.
  package var values = 0
  var unit: TimeUnit = .microseconds
  var style: Style = .task
  /// irqs-off and the like were there.
  var hasFlags = false

  enum TimeUnit: UInt8 {
    case microseconds
    case nanoseconds
    /// A clock that counts no nanoseconds: counter, x86-tsc, uptime.
    case ticks
    /// Microseconds since the trace began.
    case latency
  }

  enum Style: UInt8 {
    /// "comm-tid", as ftrace and trace-cmd print it.
    case task
    /// "comm tid" or "comm pid/tid", as perf does.
    case perf
    /// "comm-tid 0d..2.": latency-format.
    case latency
  }

  /// A name is at most 15 characters, a pid 10, a tgid 12; pads are small.
  private static let searchLimit = 160

  init?(_ line: RawSpan) {
    var position = 0
    while let bracket = line.position(
      of: Character8.openBracket, from: position, to: Self.searchLimit)
    {
      if findTask(line, before: bracket), findTime(line, behindCPU: bracket) {
        findName(line)
        return
      }
      position = bracket &+ 1
    }
    style = .latency
    pid = -1
    position = 0
    while let dash = line.position(of: Character8.minus, from: position, to: Self.searchLimit) {
      if isLatency(line, dash: dash) {
        findName(line)
        return
      }
      position = dash &+ 1
    }
    return nil
  }

  /// "comm-tid", "comm tid" or "comm pid/tid", with a tgid in parentheses or without.
  @inline(__always)
  private mutating func findTask(_ line: RawSpan, before bracket: Int) -> Bool {
    pid = -1
    var end = Self.skipBlanksBackward(line, bracket)
    if line.u8(at: end &- 1) == Character8.closeParenthesis {
      var open = end &- 1
      while open > 0, end &- open < 16, line.u8(at: open) != Character8.openParenthesis {
        open &-= 1
      }
      guard line.u8(at: open) == Character8.openParenthesis else { return false }
      takeGroup(line, open)
      end = Self.skipBlanksBackward(line, open)
    }
    var start = end
    guard let last = Self.numberBackward(line, &start) else { return false }
    tid = last
    style = .perf
    guard start > 0, let before = line.u8(at: start &- 1) else { return true }
    if before == Character8.minus {
      // perf's task -1, which is exiting; names of tasks hardly end with a blank.
      let isNegative =
        last == 1
        && (start == 1 || isBlank(line, start &- 2) || line.u8(at: start &- 2) == Character8.slash)
      guard isNegative else {
        style = .task
        return true
      }
      tid = -1
      start &-= 1
    }
    switch line.u8(at: start &- 1) {
    case Character8.slash:
      var place = start &- 1
      guard let first = Self.numberBackward(line, &place) else { return false }
      if first == 1, line.u8(at: place &- 1) == Character8.minus {
        return place == 1 || isBlank(line, place &- 2)
      }
      guard place == 0 || isBlank(line, place &- 1) else { return false }
      pid = first
      return true
    default: return start == 0 || isBlank(line, start &- 1)
    }
  }

  /// "[003]", then the flags or none, then the time.
  @inline(__always)
  private mutating func findTime(_ line: RawSpan, behindCPU bracket: Int) -> Bool {
    var position = bracket &+ 1
    guard let number = line.decimal(&position), number < UInt64(TimeSpans.cpuLimit),
      line.u8(at: position) == Character8.closeBracket
    else { return false }
    cpu = Int32(number)
    position &+= 1
    line.skipBlanks(&position)
    if line.u8(at: position) == Character8.openParenthesis {
      // Kernels 4.13 to 4.17 have the tgid here.
      takeGroup(line, position)
      let open = position
      while let byte = line.u8(at: position), byte != Character8.closeParenthesis,
        position &- open < 16
      {
        position &+= 1
      }
      position &+= 1
      line.skipBlanks(&position)
    }
    hasFlags = false
    if takeTime(line, &position) { return true }
    guard skipFlags(line, &position) else { return false }
    line.skipBlanks(&position)
    hasFlags = true
    return takeTime(line, &position)
  }

  /// Over a word of at most 24 characters; false if there is none. (Bounded: a line is searched for
  /// many places where flags could be.)
  @inline(__always)
  private func skipFlags(_ line: RawSpan, _ position: inout Int) -> Bool {
    var end = position
    while end &- position <= 24, let byte = line.u8(at: end), byte != Character8.space,
      byte != Character8.tab
    {
      end &+= 1
    }
    guard end > position, end &- position <= 24 else { return false }
    position = end
    return true
  }

  /// "(  28285)" or "(-----)".
  private mutating func takeGroup(_ line: RawSpan, _ open: Int) {
    var position = open &+ 1
    line.skipBlanks(&position)
    guard let number = line.decimal(&position), let group = Int32(exactly: number) else { return }
    pid = group
  }

  /// "-28285     0..... 48973us : "
  private mutating func isLatency(_ line: RawSpan, dash: Int) -> Bool {
    var position = dash &+ 1
    guard let number = line.decimal(&position), let task = Int32(exactly: number),
      isBlank(line, position)
    else { return false }
    line.skipBlanks(&position)
    guard let cpu = line.decimal(&position), cpu < UInt64(TimeSpans.cpuLimit) else { return false }
    tid = task
    self.cpu = Int32(cpu)
    hasFlags = skipFlags(line, &position)
    guard isBlank(line, position) else { return false }
    line.skipBlanks(&position)
    return takeTime(line, &position)
  }

  /// "1347.861096:", "4.800862288:", "1348041207983:", "48973us :", "12us+:"; afterwards `position`
  /// is behind the colon, and ``nameStart`` too.
  @inline(__always)
  private mutating func takeTime(_ line: RawSpan, _ start: inout Int) -> Bool {
    var position = start
    guard let whole = line.decimal(&position) else { return false }
    switch line.u8(at: position) {
    case Character8.colon:
      unit = .ticks
      time = whole
    case Character8.dot:
      position &+= 1
      let digits = position
      guard var fraction = line.decimal(&position), position &- digits <= 9,
        line.u8(at: position) == Character8.colon
      else { return false }
      unit = position &- digits > 6 ? .nanoseconds : .microseconds
      for _ in (position &- digits)..<9 { fraction &*= 10 }
      let (seconds, tooLarge) = whole.multipliedReportingOverflow(by: 1_000_000_000)
      let (sum, overflow) = seconds.addingReportingOverflow(fraction)
      guard !tooLarge, !overflow else { return false }
      time = sum
    case 117:  // 'u'
      guard line.u8(at: position &+ 1) == 115,  // 's'
        line.u8(at: position &+ 3) == Character8.colon
      else { return false }
      position &+= 3
      let (product, overflow) = whole.multipliedReportingOverflow(by: 1000)
      guard !overflow else { return false }
      unit = .latency
      time = product
    default: return false
    }
    start = position &+ 1
    nameStart = start
    return true
  }

  /// The name, up to its colon, and where the values start.
  @inline(__always)
  private mutating func findName(_ line: RawSpan) {
    var position = nameStart
    line.skipBlanks(&position)
    if line.u8(at: position) == Character8.openParenthesis {
      // trace-cmd report --ts-diff: "(+1234)".
      position = line.wordEnd(from: position)
      line.skipBlanks(&position)
    }
    var end = line.wordEnd(from: position)
    var period = position
    if line.decimal(&period) != nil, period == end, end < line.byteCount {
      // perf script -F period
      position = end
      line.skipBlanks(&position)
      end = line.wordEnd(from: position)
    }
    nameStart = position
    nameEnd = position
    values = position
    guard end &- position >= 2, line.u8(at: end &- 1) == Character8.colon else { return }
    nameEnd = end &- 1
    position = end
    line.skipBlanks(&position)
    values = position
  }

  @inline(__always)
  private func isBlank(_ line: RawSpan, _ position: Int) -> Bool {
    line.u8(at: position) == Character8.space || line.u8(at: position) == Character8.tab
  }

  @inline(__always)
  private static func skipBlanksBackward(_ line: RawSpan, _ end: Int) -> Int {
    var position = end
    while let byte = line.u8(at: position &- 1),
      byte == Character8.space || byte == Character8.tab
    {
      position &-= 1
    }
    return position
  }

  /// The decimal number that ends at `position`, which becomes its start.
  @inline(__always)
  private static func numberBackward(_ line: RawSpan, _ position: inout Int) -> Int32? {
    var value: UInt64 = 0
    var scale: UInt64 = 1
    var place = position
    while let byte = line.u8(at: place &- 1), Character8.isDigit(byte) {
      if scale > 1_000_000_000 { return nil }
      value &+= UInt64(byte &- 48) &* scale
      scale &*= 10
      place &-= 1
    }
    guard place < position, let number = Int32(exactly: value) else { return nil }
    position = place
    return number
  }
}
