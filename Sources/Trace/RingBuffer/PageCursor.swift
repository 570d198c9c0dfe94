import Bytes

/// Walks the events of one page of the ring buffer (include/linux/ring_buffer.h, `struct
/// ring_buffer_event`; kernel/trace/ring_buffer.c, `struct buffer_data_page`).
///
///     u64 time | long commit | event event event ... | (count of missed events)
///
///     event: u32 = type_len (5 bits) | delta (27 bits), then (big-endian: type_len is the upper 5 bits)
///       1...28  data, type_len * 4 bytes
///       0       u32 size of itself and the data, data
///       29      padding: a discarded event, or with delta 0 the rest of the page
///       30      time_extend: u32, the upper bits of delta
///       31      time_stamp: u32, the upper bits of a time of 59 bits that delta begins
package struct PageCursor: BitwiseCopyable {
  /// Time of the event that ``next(_:)`` gave last, in ticks of the clock.
  private(set) var time: UInt64 = 0
  /// Events lost before this page: 0 none, nil some.
  private(set) var missed: UInt64? = 0
  /// The events do not fill the page as it says.
  private(set) var isDamaged = false
  /// It has events, or says so.
  var hasContents: Bool { position < end }
  /// Of the next event, from the start of the page, in bytes.
  private var position = 0
  private var end = 0
  private var isBigEndian = false

  /// The data of an event, from the start of the page, in bytes.
  package struct Record: BitwiseCopyable {
    package var offset: Int
    package var size: Int
  }

  private enum TypeLength {
    static let sized: UInt32 = 0
    static let padding: UInt32 = 29
    static let timeExtend: UInt32 = 30
    static let timeStamp: UInt32 = 31
  }

  private static let missedBit: UInt64 = 1 << 31
  private static let countStoredBit: UInt64 = 1 << 30

  /// A page without events.
  init(at time: UInt64 = 0) { self.time = time }

  /// - Parameter isCut: the file ends inside of the page; what is there is read.
  package init(_ page: RawSpan, _ layout: PageLayout, isCut: Bool) {
    isBigEndian = layout.isBigEndian
    guard let time = page.u64(at: layout.time, swapped: isBigEndian),
      let commit = Self.long(page, layout.commit, layout)
    else {
      isDamaged = true
      return
    }
    self.time = time
    let flags = commit & 0xffff_ffff
    let used = Int(flags & (Self.countStoredBit - 1))
    position = layout.data
    end = layout.data + used
    if end > page.byteCount {
      isDamaged = true
      end = isCut ? page.byteCount : position
    }
    if flags & Self.missedBit != 0 {
      missed = nil
      if flags & Self.countStoredBit != 0 {
        missed = Self.long(page, end, layout)
        if missed == 0 { missed = nil }
      }
    }
  }

  private static func long(_ page: RawSpan, _ offset: Int, _ layout: PageLayout) -> UInt64? {
    layout.longSize == 8
      ? page.u64(at: offset, swapped: layout.isBigEndian)
      : page.u32(at: offset, swapped: layout.isBigEndian).map(UInt64.init)
  }

  /// The next event with data, nil at the end of the page.
  @inline(__always)
  package mutating func next(_ page: RawSpan) -> Record? {
    while position < end {
      guard let head = word(page, position) else { break }
      let delta = UInt64(isBigEndian ? head & 0x7ff_ffff : head >> 5)
      let body = position + 4
      switch isBigEndian ? head >> 27 : head & 31 {
      case TypeLength.padding:
        if delta == 0 {
          end = position
          return nil
        }
        time &+= delta
        guard let length = word(page, body), move(to: body, past: max(4, Int(length))) else {
          return damaged()
        }
      case TypeLength.timeExtend:
        guard let upper = word(page, body), move(to: body, past: 4) else { return damaged() }
        time &+= delta | UInt64(upper) << 27
      case TypeLength.timeStamp:
        guard let upper = word(page, body), move(to: body, past: 4) else { return damaged() }
        time = Self.absolute(delta | UInt64(upper) << 27, after: time)
      case TypeLength.sized:
        guard let length = word(page, body), length >= 4, move(to: body, past: Int(length)) else {
          return damaged()
        }
        time &+= delta
        return Record(offset: body + 4, size: Int(length) - 4)
      case let words:
        let size = Int(words) * 4
        guard move(to: body, past: size) else { return damaged() }
        time &+= delta
        return Record(offset: body, size: size)
      }
    }
    return nil
  }

  @inline(__always)
  private func word(_ page: RawSpan, _ offset: Int) -> UInt32? {
    guard let value = page.u32(at: offset) else { return nil }
    return isBigEndian ? value.byteSwapped : value
  }

  /// The next event begins where `length` bytes from `body` end; false when that is not in the page.
  @inline(__always)
  private mutating func move(to body: Int, past length: Int) -> Bool {
    let next = body + (length + 3) & ~3
    guard next <= end else { return false }
    position = next
    return true
  }

  private mutating func damaged() -> Record? {
    isDamaged = true
    end = position
    return nil
  }

  /// Absolute times have 59 bits; the others are those of the time before (rb_fix_abs_ts()).
  private static func absolute(_ stamp: UInt64, after time: UInt64) -> UInt64 {
    let upper = time & 0xf800_0000_0000_0000
    guard upper != 0 else { return stamp }
    let whole = stamp | upper
    return whole < time ? whole &+ (1 << 59) : whole
  }
}
