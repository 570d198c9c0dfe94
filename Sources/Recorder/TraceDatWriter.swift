import Bytes

/// Writes a trace.dat of version 6: metadata, then the pages of each CPU
/// (trace-cmd's Documentation/trace-cmd/trace-cmd.dat.v6.5.txt).
struct TraceDatWriter {
  /// Formats by system: those of the recorded events.
  var systems: [(name: String, formats: [[UInt8]])] = []
  var ftraceFormats: [[UInt8]] = []
  var headerPage: [UInt8] = []
  var headerEvent: [UInt8] = []
  var symbols: [UInt8] = []
  var printFormats: [UInt8] = []
  var commandLines: [UInt8] = []
  /// The text of trace_clock: "local [mono] boot".
  var clock: [UInt8] = []
  /// "Linux host 6.1.0 aarch64".
  var uname = ""
  /// By CPU.
  var statistics: [String] = []
  var traceID: UInt64 = 0
  var pageSize = 4096

  private enum Option {
    static let done: UInt16 = 0
    static let statistics: UInt16 = 2
    static let clock: UInt16 = 4
    static let uname: UInt16 = 5
    static let traceID: UInt16 = 11
  }

  /// Everything in front of the pages.
  ///
  /// - Parameter sizes: bytes of each CPU's pages.
  func head(sizes: [UInt64]) -> [UInt8] {
    var head: [UInt8] = [0x17, 0x08, 0x44] + Array("tracing6\0".utf8)
    head += [0, 8]
    head.add(UInt32(pageSize))
    head.add(text: "header_page")
    head.add(sized: headerPage)
    head.add(text: "header_event")
    head.add(sized: headerEvent)
    head.add(UInt32(ftraceFormats.count))
    for format in ftraceFormats { head.add(sized: format) }
    head.add(UInt32(systems.count))
    for system in systems {
      head.add(text: system.name)
      head.add(UInt32(system.formats.count))
      for format in system.formats { head.add(sized: format) }
    }
    for text in [symbols, printFormats] {
      head.add(UInt32(text.count))
      head += text
    }
    head.add(sized: commandLines)
    head.add(UInt32(sizes.count))
    head.add(text: "options  ")
    for text in statistics { head.add(option: Option.statistics, Array(text.utf8) + [0]) }
    // The clock itself follows the table below.
    head.add(option: Option.clock, [])
    head.add(option: Option.uname, Array(uname.utf8) + [0])
    var id: [UInt8] = []
    id.add(traceID)
    head.add(option: Option.traceID, id)
    head.add(Option.done)
    head.add(text: "flyrecord")
    let end = head.count + 16 * sizes.count + 8 + clock.count
    var place = UInt64((end + pageSize - 1) / pageSize * pageSize)
    for size in sizes {
      head.add(place)
      head.add(size)
      place += size
    }
    head.add(sized: clock)
    head += [UInt8](repeating: 0, count: (pageSize - head.count % pageSize) % pageSize)
    return head
  }

  /// Writes the file without events, whose parts lie beside it from now on.
  func begin(_ path: String, cpus: Int) throws {
    let sink = try ByteSink(path: path)
    try sink.write(head(sizes: [UInt64](repeating: 0, count: cpus)))
    try sink.finish()
  }

  /// Joins the parts, each of which is removed when it is in; nil is a CPU without one.
  func write(to path: String, parts: [(path: String, size: UInt64)?]) throws {
    // There is always one head or the other, and each part in its own file until it is in this one.
    let begun = try ByteSink(path: path)
    try begun.write(head(sizes: parts.map { $0?.size ?? 0 }))
    try begun.finish()
    let sink = try ByteSink(appendingTo: path)
    for case let part? in parts {
      try SystemFile.copy(part.path, to: sink)
      try sink.drain()
      SystemFile.remove(part.path)
    }
    try sink.finish()
  }
}

extension [UInt8] {
  fileprivate mutating func add(_ value: some FixedWidthInteger) {
    for shift in stride(from: 0, to: value.bitWidth, by: 8) {
      append(UInt8(truncatingIfNeeded: value >> shift))
    }
  }

  fileprivate mutating func add(text: String) { self += Array(text.utf8) + [0] }

  fileprivate mutating func add(sized bytes: [UInt8]) {
    add(UInt64(bytes.count))
    self += bytes
  }

  fileprivate mutating func add(option id: UInt16, _ bytes: [UInt8]) {
    add(id)
    add(UInt32(bytes.count))
    self += bytes
  }
}
