/// Turns a recording into what a big-endian machine would have written: each number for itself, those
/// inside of the samples' raw bytes too.
struct SwappedPieces {
  private struct Layout {
    var sampleType: UInt64 = 0
    var readFormat: UInt64 = 0
    var branchSampleType: UInt64 = 0
    var format: [(offset: Int, size: Int)] = []
  }

  private let pieces: PerfPieces
  /// By id, and for files without ids as 0.
  private var layouts: [UInt64: Layout] = [:]
  private var hasIdentifier = false

  init(_ pieces: PerfPieces) {
    self.pieces = pieces
    let formats = Self.formats(pieces.section(1))
    for attribute in pieces.attributes {
      let layout = Layout(
        sampleType: PerfPieces.number(attribute.attr, 24, 8),
        readFormat: PerfPieces.number(attribute.attr, 32, 8),
        branchSampleType: PerfPieces.number(attribute.attr, 72, 8),
        format: formats[PerfPieces.number(attribute.attr, 8, 8)] ?? [])
      hasIdentifier = layout.sampleType & 1 << 16 != 0
      layouts[0] = layout
      for id in attribute.ids { layouts[id] = layout }
    }
  }

  /// File mode. `wordSize`: of the writer's `long`, which the feature bitmap is made of.
  func fileMode(wordSize: Int = 8) -> [UInt8] {
    var file = ByteWriter()
    func big(_ value: UInt64) { file.add(value.byteSwapped) }
    let attrSize = pieces.attributes[0].attr.count
    let ids = 104
    let table = ids + pieces.attributes.reduce(0) { $0 + $1.ids.count * 8 }
    let data = table + pieces.attributes.count * (attrSize + 16)
    file.add(Array("2ELIFREP".utf8))
    for value in [
      104, attrSize + 16, table, pieces.attributes.count * (attrSize + 16), data,
      pieces.records.count, 0, 0,
    ] { big(UInt64(value)) }
    var bitmap = [UInt8](repeating: 0, count: 32)
    for (bit, _) in pieces.sections + [(bit: 3, bytes: [])] {
      // Byte of the word, counted from its end.
      let word = bit / (8 * wordSize) * wordSize
      bitmap[word + wordSize - 1 - bit % (8 * wordSize) / 8] |= 1 << UInt8(bit % 8)
    }
    file.add(bitmap)
    for attribute in pieces.attributes { for id in attribute.ids { big(id) } }
    var place = ids
    for attribute in pieces.attributes {
      file.add(Self.attribute(attribute.attr))
      big(UInt64(place))
      big(UInt64(attribute.ids.count * 8))
      place += attribute.ids.count * 8
    }
    file.add(records(pieces.records))
    var sections = pieces.sections
    if !sections.contains(where: { $0.bit == 3 }) { sections.append((3, [0, 0, 0, 0])) }
    sections.sort { $0.bit < $1.bit }
    var start = file.bytes.count + sections.count * 16
    for section in sections {
      big(UInt64(start))
      big(UInt64(section.bytes.count))
      start += section.bytes.count
    }
    for section in sections { file.add(Self.section(section.bit, section.bytes, attrSize)) }
    return file.bytes
  }

  /// Pipe mode.
  func pipeMode() -> [UInt8] {
    var stream = Array("2ELIFREP".utf8) + [0, 0, 0, 0, 0, 0, 0, 16]
    func record(_ type: UInt8, _ body: [UInt8]) {
      let size = 8 + body.count
      stream += [0, 0, 0, type, 0, 0, UInt8(size >> 8), UInt8(size & 255)] + body
    }
    for attribute in pieces.attributes {
      var ids = ByteWriter()
      for id in attribute.ids { ids.add(id.byteSwapped) }
      record(64, Self.attribute(attribute.attr) + ids.bytes)
    }
    for section in pieces.sections where section.bit > 2 && section.bytes.count < 65000 {
      let body = Self.section(section.bit, section.bytes, pieces.attributes[0].attr.count)
      record(80, [0, 0, 0, 0, 0, 0, 0, UInt8(section.bit)] + body)
    }
    let formats = Self.section(1, pieces.section(1), 0)
    var size = ByteWriter()
    size.add(UInt32(formats.count).byteSwapped)
    record(66, size.bytes + [0, 0, 0, 0])
    stream += formats + [UInt8](repeating: 0, count: (8 - formats.count % 8) % 8)
    return stream + records(pieces.records)
  }

  // MARK: Numbers in place

  private static func turn(_ bytes: inout [UInt8], _ offset: Int, _ width: Int, _ count: Int = 1) {
    for index in 0..<count {
      let start = offset + index * width
      guard start + width <= bytes.count else { return }
      bytes[start..<(start + width)].reverse()
    }
  }

  private static func attribute(_ attr: [UInt8]) -> [UInt8] {
    var bytes = attr
    turn(&bytes, 0, 4, 2)
    turn(&bytes, 8, 8, 4)
    for place in 40..<48 {
      bytes[place] = (0..<8).reduce(0) { $0 | (bytes[place] >> UInt8($1) & 1) << UInt8(7 - $1) }
    }
    turn(&bytes, 48, 4, 2)
    turn(&bytes, 56, 8, 4)
    turn(&bytes, 88, 4, 2)
    turn(&bytes, 96, 8)
    return bytes
  }

  func records(_ source: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(source.count)
    var offset = 0
    while offset + 8 <= source.count {
      let size = Int(PerfPieces.number(source, offset + 6, 2))
      result += record(Array(source[offset..<(offset + size)]))
      offset += size
    }
    return result
  }

  private func record(_ source: [UInt8]) -> [UInt8] {
    var bytes = source
    let type = PerfPieces.number(source, 0, 4)
    Self.turn(&bytes, 0, 4)
    Self.turn(&bytes, 4, 2, 2)
    var bodyEnd = 0
    switch type {
    case 1:
      Self.turn(&bytes, 8, 4, 2)
      Self.turn(&bytes, 16, 8, 3)
    case 10:
      Self.turn(&bytes, 8, 4, 2)
      Self.turn(&bytes, 16, 8, 3)
      Self.turn(&bytes, 64, 4, 2)
    case 2:
      Self.turn(&bytes, 8, 8, 2)
      bodyEnd = 24
    case 3: Self.turn(&bytes, 8, 4, 2)
    case 4, 7:
      Self.turn(&bytes, 8, 4, 4)
      Self.turn(&bytes, 24, 8)
      bodyEnd = 32
    case 13:
      Self.turn(&bytes, 8, 8)
      bodyEnd = 16
    case 9: turnSample(&bytes, source)
    case 69: Self.turn(&bytes, 8, 8, (source.count - 8) / 8)
    default: break
    }
    if bodyEnd > 0 || [1, 3, 10].contains(type) { turnSampleID(&bytes, source) }
    return bytes
  }

  private func turnSample(_ bytes: inout [UInt8], _ source: [UInt8]) {
    guard let layout = layouts[hasIdentifier ? PerfPieces.number(source, 8, 8) : 0] else { return }
    let type = layout.sampleType
    var place = 8
    // IDENTIFIER, IP, TID, TIME, ADDR, ID, STREAM_ID, CPU, PERIOD.
    for bit in [16, 0, 1, 2, 3, 6, 9, 7, 8] as [UInt64] where type & 1 << bit != 0 {
      let isPair = bit == 1 || bit == 7
      Self.turn(&bytes, place, isPair ? 4 : 8, isPair ? 2 : 1)
      place += 8
    }
    if type & 1 << 5 != 0 {
      let count = 1 + Int(PerfPieces.number(source, place, 8))
      Self.turn(&bytes, place, 8, count)
      place += 8 * count
    }
    if type & 1 << 10 != 0 {
      Self.turn(&bytes, place, 4)
      for field in layout.format { Self.turn(&bytes, place + 4 + field.offset, field.size) }
      place += 4 + Int(PerfPieces.number(source, place, 4))
    }
    // BRANCH_STACK, with or without HW_INDEX.
    if type & 1 << 11 != 0 {
      let count = Int(PerfPieces.number(source, place, 8))
      Self.turn(
        &bytes, place, 8, 1 + Int(layout.branchSampleType >> 17 & 1) + count * 3)
    }
  }

  private func turnSampleID(_ bytes: inout [UInt8], _ source: [UInt8]) {
    let id = hasIdentifier ? PerfPieces.number(source, source.count - 8, 8) : 0
    guard let type = (layouts[id] ?? layouts[0])?.sampleType else { return }
    var place = source.count
    // From the end: IDENTIFIER, CPU, STREAM_ID, ID, TIME, TID.
    for bit in [16, 7, 9, 6, 2, 1] as [UInt64] where type & 1 << bit != 0 {
      place -= 8
      let isPair = bit == 1 || bit == 7
      Self.turn(&bytes, place, isPair ? 4 : 8, isPair ? 2 : 1)
    }
  }

  // MARK: Sections

  private static func section(_ bit: Int, _ source: [UInt8], _ attrSize: Int) -> [UInt8] {
    var bytes = source
    switch bit {
    case 1: return tracingData(source) { _, _ in }
    case 2:
      var place = 0
      while place + 8 <= source.count {
        turn(&bytes, place, 4)
        turn(&bytes, place + 4, 2, 2)
        turn(&bytes, place + 8, 4)
        place += Int(PerfPieces.number(source, place + 6, 2))
      }
    case 3...6, 8: turn(&bytes, 0, 4)
    case 7: turn(&bytes, 0, 4, 2)
    case 11:
      var place = 4
      turn(&bytes, 0, 4)
      for _ in 0..<PerfPieces.number(source, 0, 4) {
        turn(&bytes, place, 4)
        place += 4 + Int(PerfPieces.number(source, place, 4))
      }
    default: return [UInt8](repeating: 0, count: source.count)
    }
    return bytes
  }

  /// Numbers of each format by its id: offset and size of what is not an array.
  private static func formats(_ data: [UInt8]) -> [UInt64: [(offset: Int, size: Int)]] {
    var result: [UInt64: [(offset: Int, size: Int)]] = [:]
    _ = tracingData(data) { _, text in
      var id: UInt64 = 0
      for line in text.split(separator: "\n") {
        if line.hasPrefix("ID: ") { id = UInt64(line.dropFirst(4)) ?? 0 }
        guard line.hasPrefix("\tfield:"), !line.contains("[") else { continue }
        func value(_ key: String) -> Int {
          guard let place = line.firstRange(of: key) else { return 0 }
          return Int(line[place.upperBound...].prefix { $0.isNumber }) ?? 0
        }
        result[id, default: []].append((value("offset:"), value("size:")))
      }
    }
    return result
  }

  /// Tracing data with all its numbers turned, and says its format texts on the way.
  private static func tracingData(
    _ source: [UInt8], _ body: (String, String) -> Void
  ) -> [UInt8] {
    var bytes = source
    var place = 10
    func text() -> String {
      let end = source[place...].firstIndex(of: 0) ?? source.count
      defer { place = end + 1 }
      return String(decoding: source[place..<end], as: UTF8.self)
    }
    func number(_ width: Int) -> Int {
      turn(&bytes, place, width)
      place += width
      return Int(PerfPieces.number(source, place - width, width))
    }
    guard source.count > 20 else { return source }
    _ = text()
    bytes[place] = 1
    place += 2
    _ = number(4)
    for _ in 0..<2 {
      _ = text()
      place += number(8)
    }
    for _ in 0..<number(4) { place += number(8) }
    for _ in 0..<number(4) {
      let system = text()
      for _ in 0..<number(4) {
        let size = number(8)
        body(system, String(decoding: source[place..<(place + size)], as: UTF8.self))
        place += size
      }
    }
    return bytes
  }
}
