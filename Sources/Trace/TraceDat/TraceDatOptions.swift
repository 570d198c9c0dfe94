import Bytes

/// The options of a trace.dat: where its parts lie in version 7, and what is known of the recorded
/// machine (Documentation/trace-cmd/trace-cmd.dat.v7.5.txt, "OPTIONS SECTION"; the ids are those of
/// lib/trace-cmd/include/private/trace-cmd-private.h). Unknown options are skipped.
struct TraceDatOptions {
  /// Where sections lie, by their id: 16 ... 21.
  private(set) var sections: [UInt16: UInt64] = [:]
  private(set) var buffers: [TraceBuffer] = []
  private(set) var hasText = false
  private(set) var hasClock = false
  /// "local [mono] global ...", as tracefs writes it; empty in version 6.
  private(set) var clocks = ""
  /// "Linux host 6.1.0 aarch64".
  private(set) var uname = ""
  private(set) var cpuCount: Int?
  private(set) var counters = RingBufferCounters()
  private(set) var timeScale: TimeScale?
  /// To be added to every time.
  private(set) var timeOffset: Int64 = 0
  /// This recording's own number.
  private(set) var traceID: UInt64?
  /// A guest's: to its host's clock.
  private(set) var timeShift: TimeShift?
  private(set) var guests: [RecordedGuest] = []

  enum ID {
    static let done: UInt16 = 0
    static let statistics: UInt16 = 2
    static let buffer: UInt16 = 3
    static let clock: UInt16 = 4
    static let uname: UInt16 = 5
    static let offset: UInt16 = 7
    static let cpuCount: UInt16 = 8
    static let traceID: UInt16 = 11
    static let timeShift: UInt16 = 12
    static let guest: UInt16 = 13
    static let cycleScale: UInt16 = 14
    static let sections: ClosedRange<UInt16> = 16...21
    static let bufferText: UInt16 = 22
  }

  /// A buffer is an instance of the ring buffer: nobody has more.
  private static let bufferLimit = 1024

  /// Options one after another: u16 id, u32 size, data, up to the option 0. In version 6 nothing
  /// follows its id; in version 7 it tells where the next options lie, 0: nowhere.
  mutating func take(
    _ cursor: inout ByteCursor, version: Int
  ) throws(ByteCursor.Truncation) -> UInt64 {
    while true {
      let id = try cursor.u16()
      if id == ID.done, version == 6 { return 0 }
      let data = try cursor.slice(UInt64(try cursor.u32()))
      if id == ID.done { return data.u64(at: 0, swapped: cursor.isSwapped) ?? 0 }
      let option = ByteCursor(data, isSwapped: cursor.isSwapped)
      // An option that is too short says nothing; the next one may.
      do throws(ByteCursor.Truncation) { try take(id, option, version: version) } catch {}
    }
  }

  private mutating func take(
    _ id: UInt16, _ option: consuming ByteCursor, version: Int
  ) throws(ByteCursor.Truncation) {
    var cursor = option
    let data = cursor.bytes
    switch id {
    case ID.statistics: counters.take(data)
    case ID.buffer:
      guard buffers.count < Self.bufferLimit else { return }
      buffers.append(try TraceBuffer(option: &cursor, version: version))
    case ID.clock:
      hasClock = true
      clocks = data.text()
    case ID.uname: uname = data.text()
    case ID.offset: timeOffset = Self.number(data.text())
    case ID.cpuCount: cpuCount = Int(try cursor.u32())
    case ID.traceID: traceID = try cursor.u64()
    case ID.timeShift: timeShift = try TimeShift(&cursor)
    case ID.guest: try takeGuest(&cursor)
    case ID.cycleScale:
      timeScale = TimeScale(
        multiplier: try cursor.u32(), shift: try cursor.u32(), offset: try cursor.u64())
    case ID.sections: sections[id] = try cursor.u64()
    case ID.bufferText: hasText = true
    default: break
    }
  }

  /// Name, u64 trace id, u32 count of vCPUs; for each its number and the thread on the host.
  private mutating func takeGuest(_ cursor: inout ByteCursor) throws(ByteCursor.Truncation) {
    let name = try cursor.terminatedText()
    let traceID = try cursor.u64()
    var threads: [Int32: Int32] = [:]
    for _ in 0..<(try cursor.u32()) {
      let vcpu = Int32(bitPattern: try cursor.u32())
      threads[vcpu] = Int32(bitPattern: try cursor.u32())
    }
    guests.append(RecordedGuest(name: name, threads: threads, traceID: traceID))
  }

  /// As strtoll(text, NULL, 0) reads it, without octal numbers; 0 when it is none.
  private static func number(_ text: String) -> Int64 {
    let isNegative = text.hasPrefix("-")
    let digits = text.drop { $0 == "-" || $0 == "+" }
    let magnitude =
      digits.hasPrefix("0x")
      ? Int64(digits.dropFirst(2), radix: 16) : Int64(digits.prefix { $0.isNumber })
    guard let magnitude else { return 0 }
    return isNegative ? -magnitude : magnitude
  }
}
