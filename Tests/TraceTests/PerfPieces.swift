/// A perf.data in file mode taken to pieces, to be put together in another way. Reads only files that
/// perf itself finished.
struct PerfPieces {
  struct Attribute {
    var attr: [UInt8]
    var ids: [UInt64]
  }

  var attributes: [Attribute] = []
  var records: [UInt8] = []
  /// Feature sections by bit.
  var sections: [(bit: Int, bytes: [UInt8])] = []

  init(_ file: [UInt8]) {
    let stride = Int(Self.number(file, 16, 8))
    let table = Int(Self.number(file, 24, 8))
    let data = Int(Self.number(file, 40, 8))
    let end = data + Int(Self.number(file, 48, 8))
    for entry in Swift.stride(
      from: table, to: table + Int(Self.number(file, 32, 8)), by: stride)
    {
      let place = Int(Self.number(file, entry + stride - 16, 8))
      let count = Int(Self.number(file, entry + stride - 8, 8)) / 8
      attributes.append(
        Attribute(
          attr: Array(file[entry..<(entry + stride - 16)]),
          ids: (0..<count).map { Self.number(file, place + $0 * 8, 8) }))
    }
    records = Array(file[data..<end])
    var place = end
    for bit in 0..<256 where file[72 + bit / 8] & 1 << UInt8(bit % 8) != 0 {
      let start = Int(Self.number(file, place, 8))
      let size = Int(Self.number(file, place + 8, 8))
      sections.append((bit, Array(file[start..<(start + size)])))
      place += 16
    }
  }

  /// The little-endian number of `width` bytes.
  static func number(_ bytes: [UInt8], _ offset: Int, _ width: Int) -> UInt64 {
    (0..<width).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
  }

  func section(_ bit: Int) -> [UInt8] { sections.first { $0.bit == bit }?.bytes ?? [] }

  /// The same in pipe mode, in the order in which `perf record -o -` writes
  /// (perf_event__synthesize_for_pipe).
  func pipeMode() -> [UInt8] {
    var stream = ByteWriter()
    stream.add(Array("PERFILE2".utf8))
    stream.add(UInt64(16))
    func record(_ type: UInt32, _ body: [UInt8]) {
      stream.add(type)
      stream.add(UInt16(0))
      stream.add(UInt16(8 + body.count))
      stream.add(body)
    }
    for attribute in attributes {
      var body = ByteWriter()
      body.add(attribute.attr)
      for id in attribute.ids { body.add(id) }
      record(64, body.bytes)
    }
    // TRACING_DATA and BUILD_ID are records of their own; sections of over 64 KiB have none.
    for section in sections where section.bit > 2 && section.bytes.count < 65000 {
      var body = ByteWriter()
      body.add(UInt64(section.bit))
      body.add(section.bytes)
      record(80, body.bytes)
    }
    let formats = section(1)
    if !formats.isEmpty {
      var body = ByteWriter()
      // The padding counts.
      body.add(UInt32((formats.count + 7) & ~7))
      record(66, body.bytes)
      stream.add(formats)
      stream.add([UInt8](repeating: 0, count: (8 - formats.count % 8) % 8))
    }
    stream.add(records)
    // Entries of the table of build-ids are records already but for their type.
    var ids = section(2)
    var place = 0
    while place + 8 <= ids.count {
      ids[place] = 67
      place += Int(Self.number(ids, place + 6, 2))
    }
    stream.add(ids)
    return stream.bytes
  }
}
