import Bytes

/// sched_switch and sched_migrate_task. Tasks may be called anything, so numbers are looked for from
/// where a name cannot reach: the last label of its kind.
enum SchedText {
  private static let nextComm: TextPattern = "next_comm="
  private static let nextPid: TextPattern = " next_pid="
  private static let prevPid: TextPattern = " prev_pid="
  private static let prevState: TextPattern = " prev_state="
  private static let arrow: TextPattern = " ==> "
  private static let pid: TextPattern = " pid="
  private static let from: TextPattern = " orig_cpu="
  private static let to: TextPattern = " dest_cpu="

  /// "prev_comm=perf prev_pid=86 prev_prio=120 prev_state=R+ ==> next_comm=sh next_pid=87 ...", or
  /// "perf:86 [120] S ==> sh:87 [120]" of libtraceevent's plugin.
  static func schedSwitch(_ line: RawSpan, _ values: Int) -> Event.Occurrence? {
    guard let middle = line.lastPosition(of: nextComm, before: line.byteCount), middle > values
    else { return plugin(line, values) }
    guard let prev = line.last(prevPid, before: middle), let next = line.last(nextPid),
      let place = line.lastPosition(of: prevState, before: middle),
      let state = state(line, at: place &+ prevState.bytes.count, letters: kernelLetters)
    else { return nil }
    return .schedSwitch(
      prev: Int32(truncatingIfNeeded: prev), prevState: state,
      next: Int32(truncatingIfNeeded: next))
  }

  private static func plugin(_ line: RawSpan, _ values: Int) -> Event.Occurrence? {
    guard let middle = line.lastPosition(of: arrow, before: line.byteCount), middle > values
    else { return nil }
    var start = middle
    while let byte = line.u8(at: start &- 1), byte != Character8.space, start > values {
      start &-= 1
    }
    guard let state = state(line, at: start, letters: pluginLetters),
      let prev = task(line, before: start &- 1), let next = task(line, before: line.byteCount)
    else { return nil }
    return .schedSwitch(prev: prev, prevState: state, next: next)
  }

  /// The 86 of "perf:86 [120]", which ends at `end`.
  private static func task(_ line: RawSpan, before end: Int) -> Int32? {
    var bracket = end
    while let byte = line.u8(at: bracket &- 1), byte == Character8.space { bracket &-= 1 }
    bracket &-= 1
    guard line.u8(at: bracket) == Character8.closeBracket else { return nil }
    while let byte = line.u8(at: bracket), byte != Character8.openBracket { bracket &-= 1 }
    var colon = bracket &- 2
    while let byte = line.u8(at: colon), Character8.isDigit(byte) { colon &-= 1 }
    var position = colon &+ 1
    guard line.u8(at: colon) == Character8.colon, let number = line.decimal(&position) else {
      return nil
    }
    return Int32(exactly: number)
  }

  /// Task states by bit: the kernel's own letters (TASK_REPORT, since 4.14; + is bit 8), and those of
  /// libtraceevent's plugin, which are the kernel's own as well since 1.8 (but for two states of tasks
  /// that end, which cannot be told apart then).
  private static let kernelLetters = Array("SDTtXZPI".utf8)
  private static let pluginLetters = Array("SDTtZXxW".utf8)

  /// "S", "R+", "D|K"; a number in raw fields.
  private static func state(_ line: RawSpan, at start: Int, letters: [UInt8]) -> Int64? {
    var position = start
    if let number = line.number(&position) { return Int64(bitPattern: number) }
    var state: Int64 = 0
    while let byte = line.u8(at: position), byte != Character8.space {
      if byte == Character8.plus {
        state |= 0x100
      } else if let bit = letters.firstIndex(of: byte) ?? kernelLetters.firstIndex(of: byte) {
        state |= 1 << Int64(bit)
      } else if byte != 82, byte != 124, !Character8.isWord(byte) {
        return nil
      }
      position &+= 1
    }
    return position > start ? state : nil
  }

  /// "comm=perf pid=86 prio=120 orig_cpu=1 dest_cpu=0".
  static func migrateTask(_ line: RawSpan, _ values: Int) -> Event.Occurrence? {
    guard let tid = line.last(pid), let from = line.last(from), let to = line.last(to) else {
      return nil
    }
    return .migrateTask(
      tid: Int32(truncatingIfNeeded: tid), from: Int32(truncatingIfNeeded: from),
      to: Int32(truncatingIfNeeded: to))
  }
}

extension RawSpan {
  /// The number behind the last `name`.
  fileprivate func last(_ name: TextPattern, before end: Int? = nil) -> UInt64? {
    guard let place = lastPosition(of: name, before: end ?? byteCount) else { return nil }
    var position = place &+ name.bytes.count
    return number(&position)
  }
}
