import Bytes

/// The numbers of a trace.dat of version 7 that say where something lies or how large a buffer is
/// (Documentation/trace-cmd/trace-cmd.dat.v7.5.txt).
struct TraceDatPointers {
  private enum Kind {
    case offset
    /// Size of the data that lies at the offset.
    case size(of: Int)
    /// Size of a section that holds the data at these offsets.
    case section([Int])
  }

  private var numbers: [(place: Int, kind: Kind)] = []
  private let file: [Int: UInt64]

  /// Throws where options are compressed: trace-cmd does not write them so.
  init(_ bytes: RawSpan, _ header: TraceDatHeader) throws(Redaction.Failure) {
    var values: [Int: UInt64] = [:]
    var found: [(Int, Kind)] = []
    func note(_ place: Int, _ kind: Kind) -> UInt64 {
      let value = bytes.u64(at: place) ?? 0
      values[place] = value
      found.append((place, kind))
      return value
    }
    var next = note(header.byteCount - 8, .offset)
    var seen: Set<UInt64> = []
    while next != 0, seen.insert(next).inserted {
      guard let start = Int(exactly: next), bytes.u16(at: start) == 0, bytes.u16(at: start + 2) == 0
      else {
        throw Redaction.Failure(cannot: "its options are compressed", at: Int(clamping: next))
      }
      var cursor = ByteCursor(bytes, at: start + TraceDatSections.headerSize)
      next = 0
      do throws(ByteCursor.Truncation) {
        while true {
          let id = try cursor.u16()
          let size = Int(try cursor.u32())
          let data = cursor.offset
          switch id {
          case TraceDatOptions.ID.done:
            if size >= 8 { next = note(data, .offset) }
          case TraceDatOptions.ID.buffer:
            try Self.buffer(&cursor, bytes, note)
          case 15...22: if size == 8 { _ = note(data, .offset) }
          default: break
          }
          if id == TraceDatOptions.ID.done { break }
          cursor = ByteCursor(bytes, at: data + size)
        }
      } catch {
        throw Redaction.Failure(cannot: "its options end too early", at: error.offset)
      }
    }
    numbers = found
    file = values
  }

  /// u64 offset of the buffer's section, name, clock, u32 page size, u32 CPUs; each u32 number, u64 offset,
  /// u64 size.
  @_lifetime(cursor: copy cursor)
  private static func buffer(
    _ cursor: inout ByteCursor, _ bytes: RawSpan, _ note: (Int, Kind) -> UInt64
  ) throws(ByteCursor.Truncation) {
    let section = note(cursor.offset, .offset)
    try cursor.skip(8)
    _ = try cursor.terminatedText()
    _ = try cursor.terminatedText()
    _ = try cursor.u32()
    var held: [Int] = []
    for _ in 0..<(try cursor.u32()) {
      _ = try cursor.u32()
      let place = Int(clamping: note(cursor.offset, .offset))
      try cursor.skip(8)
      _ = note(cursor.offset, .size(of: place))
      try cursor.skip(8)
      held.append(place)
    }
    if let start = Int(exactly: section), bytes.u16(at: start) == 3 {
      _ = note(start + 8, .section(held))
    }
  }

  /// The numbers as they are once everything has moved.
  func moved(
    _ move: (Int) -> Int, sizes grown: (Int) -> Int
  ) throws(Redaction.Failure) -> [(offset: Int, number: UInt64)] {
    numbers.map { place, kind in
      let value = file[place] ?? 0
      let number: UInt64
      switch kind {
      case .offset: number = value == 0 ? 0 : UInt64(move(Int(clamping: value)))
      case .size(let data):
        number = value == 0 ? 0 : value &+ UInt64(bitPattern: Int64(grown(data)))
      case .section(let held):
        number = value &+ UInt64(bitPattern: Int64(held.reduce(0) { $0 + grown($1) }))
      }
      return (place, number)
    }
  }
}
