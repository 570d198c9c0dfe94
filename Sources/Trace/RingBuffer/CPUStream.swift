import Bytes

/// The events of one CPU, one after another: chunk by chunk where they are compressed, then page by
/// page.
///
/// Compressed data is u32 count of chunks, then u32 packed size, u32 unpacked size and data of each;
/// chunks hold whole pages (Documentation/trace-cmd/trace-cmd.dat.v7.5.txt, "COMPRESSION FORMAT OF THE
/// TRACE DATA").
struct CPUStream {
  let cpu: UInt32
  /// The instance it is part of, by its number among those that are read.
  let buffer: Int
  /// Its slot for decompressed chunks, nil where nothing is compressed.
  let slot: Int?
  private let layout: PageLayout
  private let pageSize: Int
  /// Compressed: where another CPU's data begins or the file ends, and the largest possible chunk.
  private let limit: Int
  private let chunkLimit: Int
  /// Compressed: the next chunk in the file. Otherwise the end of the data.
  private var place: Int
  private var chunksLeft: UInt32 = 0
  private var isInPage = false
  /// The page that is read, and the end of all pages at hand: in the slot, or in the file.
  private var page = 0
  private var pagesEnd = 0
  private var cursor = PageCursor()

  /// Of the event that ``advance(_:_:)`` found, in the slot or in the file, in bytes.
  private(set) var offset = 0
  private(set) var size = 0
  /// Events lost before it: 0 none, `isCounted`: that many, otherwise at least that many.
  private(set) var lost: UInt64 = 0
  private(set) var isCounted = true
  /// Events may have been lost before it, whatever ``lost`` says.
  private(set) var isWall = false
  /// Events were lost between two of the pages, and none says which: each beginning of a page but the
  /// first is a wall, and the first of these walls stands for all that was lost.
  private let isTorn: Bool
  private var untold: UInt64
  private var hasPages = false
  /// What is wrong with the data, as far as it was read.
  private(set) var damage: Damage?
  /// Bytes that are there are not what a recorder wrote; a file that is cut short is not damaged.
  private(set) var isDamaged = false
  /// Behind the last event there may be pages without any, and nothing behind those.
  private var followsEmptyPage = false

  struct Damage {
    /// In the file, in bytes.
    var offset: Int
    var reason: String
    /// All that follows is lost, not only a page.
    var isEnd: Bool
    /// How many pages.
    var pages = 1

    func sentence(cpu: UInt32) -> String {
      isEnd
        ? "the data of CPU \(cpu) cannot be read beyond byte \(offset): \(reason)"
        : "\(pages) \(pages == 1 ? "page" : "pages") of CPU \(cpu) cannot be read, from byte "
          + "\(offset) on: \(reason); the events count as lost"
    }
  }

  enum Step { case event, lossAtEnd, end }

  /// - Parameters:
  ///   - number: of its slot.
  ///   - untold: events lost between its pages that no page tells of.
  init(
    _ data: TraceBuffer.CPU, of buffer: Int, number: Int, isCompressed: Bool, limit: Int,
    chunkLimit: Int,
    pageSize: Int, layout: PageLayout, untold: UInt64, in file: RawSpan
  ) {
    self.buffer = buffer
    self.untold = untold
    isTorn = untold > 0
    self.limit = limit
    self.chunkLimit = chunkLimit
    cpu = data.number
    slot = isCompressed ? number : nil
    self.layout = layout
    self.pageSize = pageSize
    let (end, overflow) = data.offset.addingReportingOverflow(data.size)
    let start = Int(min(data.offset, UInt64(file.byteCount)))
    if isCompressed {
      place = start
      if data.size > 0 {
        if let count = file.u32(at: start, swapped: layout.isBigEndian) {
          chunksLeft = count
        } else {
          damage = Damage(offset: start, reason: "it lies outside of the file", isEnd: true)
        }
        place += 4
      }
    } else {
      page = start
      pagesEnd = overflow ? file.byteCount : Int(min(end, UInt64(file.byteCount)))
      place = pagesEnd
      if overflow || end > UInt64(file.byteCount) {
        damage = Damage(offset: pagesEnd, reason: "the file ends inside of it", isEnd: true)
      }
    }
  }

  var time: UInt64 { cursor.time }

  /// The bytes that ``offset`` is in.
  @inline(__always)
  @_lifetime(copy file, borrow slots)
  private func space(_ file: RawSpan, _ slots: borrowing InflatedSlots) -> RawSpan {
    if let slot { return slots.slot(slot) }
    return file
  }

  /// The raw record of the event that was found.
  @_lifetime(copy file, borrow slots)
  func record(_ file: RawSpan, _ slots: borrowing InflatedSlots) -> RawSpan? {
    Self.record(at: offset, size, slot, file, slots)
  }

  /// The raw record of an event that was found, by ``offset``, ``size`` and ``slot``.
  @inline(__always)
  @_lifetime(copy file, borrow slots)
  static func record(
    at offset: Int, _ size: Int, _ slot: Int?, _ file: RawSpan, _ slots: borrowing InflatedSlots
  ) -> RawSpan? {
    if let slot { return slots.slot(slot).slice(at: offset, count: size) }
    return file.slice(at: offset, count: size)
  }

  /// Goes to the next event.
  mutating func advance(_ file: RawSpan, _ slots: inout InflatedSlots) -> Step {
    lost = 0
    isCounted = true
    isWall = false
    while true {
      if isInPage, nextInPage(file, slots) { return .event }
      if openPage(file, slots) { continue }
      guard openChunk(file, &slots) else { break }
    }
    size = 0
    takeUntold()
    return lost > 0 ? .lossAtEnd : .end
  }

  @inline(__always)
  private mutating func nextInPage(_ file: RawSpan, _ slots: borrowing InflatedSlots) -> Bool {
    let space = space(file, slots)
    guard let bytes = space.slice(at: page, count: min(pageSize, pagesEnd - page)) else {
      return false
    }
    let wasDamaged = cursor.isDamaged
    if let record = cursor.next(bytes) {
      offset = page + record.offset
      size = record.size
      return true
    }
    if cursor.isDamaged, !wasDamaged { note("the events of a page do not fill it as it says") }
    page = min(page + pageSize, pagesEnd)
    isInPage = false
    return false
  }

  private mutating func openPage(_ file: RawSpan, _ slots: borrowing InflatedSlots) -> Bool {
    guard page < pagesEnd else { return false }
    let room = pagesEnd - page
    let last = cursor.time
    guard let bytes = space(file, slots).slice(at: page, count: min(pageSize, room)) else {
      return false
    }
    cursor = PageCursor(bytes, layout, isCut: room < pageSize)
    isInPage = true
    let isEmpty = !cursor.isDamaged && !cursor.hasContents && cursor.missed == 0
    if followsEmptyPage, !isEmpty {
      note("the page before it has no events, though others follow: zeros in their place, say")
    }
    followsEmptyPage = isEmpty
    if cursor.isDamaged {
      note("a page says that it holds more than a page", isCut: room < pageSize)
      if cursor.time < last { cursor = PageCursor(at: last) }
    } else if cursor.time < last {
      // A CPU's ring buffer is in order.
      if cursor.hasContents {
        note(
          "its times are before those of the page before it: it is there twice, or pages were swapped"
        )
      }
      cursor = PageCursor(at: last)
    }
    if isTorn, hasPages {
      isWall = true
      takeUntold()
    }
    hasPages = true
    if let count = cursor.missed {
      lose(count, isCounted: true)
    } else {
      lose(1, isCounted: false)
    }
    return true
  }

  private mutating func openChunk(_ file: RawSpan, _ slots: inout InflatedSlots) -> Bool {
    guard let slot, chunksLeft > 0 else { return false }
    let start = place
    guard let packed = file.u32(at: start, swapped: layout.isBigEndian),
      let unpacked = file.u32(at: start + 4, swapped: layout.isBigEndian),
      let block = file.slice(at: start + 8, count: Int(packed)),
      start + 8 + Int(packed) <= limit
    else {
      end(at: start, "it ends \(chunksLeft) chunks too early")
      return false
    }
    guard Int(unpacked) <= chunkLimit else {
      end(at: start, "a chunk says that it unpacks to \(unpacked) bytes")
      return false
    }
    place = start + 8 + Int(packed)
    chunksLeft -= 1
    do throws(BlockDecoder.Failure) {
      try slots.inflate(block, size: Int(unpacked), into: slot)
    } catch {
      isDamaged = true
      end(at: start, "a chunk cannot be unpacked (\(error.reason))")
      return false
    }
    page = 0
    pagesEnd = slots.slot(slot).byteCount
    return true
  }

  private mutating func takeUntold() {
    lost.saturatingAdd(untold)
    untold = 0
  }

  private mutating func lose(_ count: UInt64, isCounted: Bool) {
    lost.saturatingAdd(count)
    if !isCounted { self.isCounted = false }
  }

  /// Something is wrong with a page: its events count as lost.
  private mutating func note(_ reason: String, isCut: Bool = false) {
    lose(1, isCounted: false)
    if !isCut { isDamaged = true }
    guard damage == nil else {
      damage?.pages += 1
      return
    }
    damage = Damage(offset: slot == nil ? page : place, reason: reason, isEnd: false)
  }

  private mutating func end(at place: Int, _ reason: String) {
    lose(1, isCounted: false)
    chunksLeft = 0
    damage = Damage(offset: place, reason: reason, isEnd: true)
  }
}
