import Bytes

/// Puts other keys into the pages of a ring buffer, and clears what the kernel left in them: behind the last
/// event, in discarded ones, and between an event's fields, lie parts of events that were there before.
struct PageRedaction {
  /// What another key there is for one.
  typealias Mask = (UInt64) -> UInt64

  private let layout: PageLayout
  private let type: NumberField
  private let places: [UInt64: KeyPlaces]

  init(_ layout: PageLayout, _ formats: [EventFormat]) throws(Redaction.Failure) {
    self.layout = layout
    type = RecordPlan(formats).type
    places = try KeyPlaces.table(formats)
  }

  /// Rewrites one page in place. The layout of its events is that of ``PageCursor``.
  func rewrite(_ page: inout [UInt8], _ mask: Mask) throws(Redaction.Failure) {
    guard let commit = page.rawBytes.u32(at: layout.commit) else { throw damaged }
    let end = layout.data + Int(commit & 0x3fff_ffff)
    guard end <= page.count else { throw damaged }
    // Bits 31 and 30: events were missed, and how many stands behind the last event.
    let hasCount = commit >> 30 == 3
    clear(&page, from: end + (hasCount ? layout.longSize : 0), to: page.count)
    var position = layout.data
    while position < end {
      guard let head = page.rawBytes.u32(at: position) else { throw damaged }
      let body = position + 4
      switch head & 31 {
      case 29:
        guard head >> 5 != 0 else {
          clear(&page, from: body, to: end)
          return
        }
        guard let length = page.rawBytes.u32(at: body) else { throw damaged }
        let next = body + (max(4, Int(length)) + 3) & ~3
        guard next <= end else { throw damaged }
        clear(&page, from: body + 4, to: next)
        position = next
      case 30, 31: position = body + 4
      case 0:
        guard let length = page.rawBytes.u32(at: body), length >= 4 else { throw damaged }
        let next = body + (Int(length) + 3) & ~3
        guard next <= end else { throw damaged }
        try rewrite(&page, record: (body + 4)..<(body + Int(length)), mask)
        clear(&page, from: body + Int(length), to: next)
        position = next
      case let words:
        let next = body + Int(words) * 4
        guard next <= end else { throw damaged }
        try rewrite(&page, record: body..<next, mask)
        position = next
      }
    }
  }

  private func rewrite(
    _ page: inout [UInt8], record: Range<Int>, _ mask: Mask
  ) throws(Redaction.Failure) {
    let known = try places(of: record, in: page)
    for gap in known.gaps {
      clear(
        &page, from: record.lowerBound + gap.lowerBound,
        to: min(record.lowerBound + gap.upperBound, record.upperBound))
    }
    if let end = known.end {
      clear(&page, from: min(record.lowerBound + end, record.upperBound), to: record.upperBound)
    }
    for offset in known.offsets {
      let place = record.lowerBound + offset
      guard let value = page.rawBytes.u64(at: place) else { continue }
      let other = mask(value)
      for byte in 0..<8 { page[place + byte] = UInt8(truncatingIfNeeded: other >> (8 * byte)) }
    }
  }

  /// Where the keys of a record lie, from its start.
  private func places(
    of record: Range<Int>, in page: [UInt8]
  ) throws(Redaction.Failure) -> KeyPlaces {
    guard let bytes = page.rawBytes.slice(at: record.lowerBound, count: record.count),
      let number = type.read(bytes), let known = places[number]
    else { throw Redaction.Failure(cannot: "an event has no format in the recording") }
    for place in known.offsets where place + 8 > record.count {
      throw Redaction.Failure(cannot: "an event is shorter than its format")
    }
    return known
  }

  private func clear(_ page: inout [UInt8], from start: Int, to end: Int) {
    for index in start..<max(start, min(end, page.count)) { page[index] = 0 }
  }

  private var damaged: Redaction.Failure {
    Redaction.Failure(cannot: "a page of events is damaged")
  }
}
