import Trace

/// Builds trace.dat files of both versions, right or wrong in exactly one place.
struct TraceDatBuilder {
  /// The data of one CPU: pages of 4096 bytes, or fewer at its end.
  struct CPU {
    var number: UInt32
    var pages: [[UInt8]]
  }

  struct Instance {
    var name = ""
    var clock = "local"
    var cpus: [CPU] = []
  }

  enum Compression: String { case none, zstd, zlib }

  var instances: [Instance] = [Instance()]
  var compression = Compression.none
  var pageSize: UInt32 = 4096
  var longSize = 8
  /// More options, by id.
  var options: [(id: UInt16, data: [UInt8])] = []
  /// kallsyms.
  var symbols = "ffff800008000000 T _text\nffff800008010000 T _stext\n"
  /// The formats of the system "kvm".
  var formats = [Formats.entry, Formats.exit]
  /// Pages of a chunk.
  var chunkPages = 2

  mutating func add(_ cpu: UInt32, _ pages: [[UInt8]], to instance: Int = 0) {
    instances[instance].cpus.append(CPU(number: cpu, pages: pages))
  }

  private var systems: [UInt8] {
    var part = ByteWriter()
    part.add(UInt32(1))
    part.text("kvm")
    part.add(UInt32(formats.count))
    for format in formats {
      part.add(UInt64(format.utf8.count))
      part.add(Array(format.utf8))
    }
    return part.bytes
  }

  private func packed(_ bytes: [UInt8]) -> [UInt8] {
    switch compression {
    case .none: bytes
    case .zstd: StoredZstd.stream(bytes, isEnded: true)
    case .zlib: StoredZlib.stream(bytes)
    }
  }

  private func block(_ bytes: [UInt8]) -> [UInt8] {
    let block = packed(bytes)
    var part = ByteWriter()
    part.add(UInt32(block.count))
    part.add(UInt32(bytes.count))
    part.add(block)
    return part.bytes
  }

  private func data(_ cpu: CPU) -> [UInt8] {
    if compression == .none { return cpu.pages.flatMap(\.self) }
    let chunks = stride(from: 0, to: cpu.pages.count, by: chunkPages).map {
      cpu.pages[$0..<min($0 + chunkPages, cpu.pages.count)].flatMap(\.self)
    }
    var part = ByteWriter()
    part.add(UInt32(chunks.count))
    for chunk in chunks { part.add(block(chunk)) }
    return part.bytes
  }

  // MARK: Version 7

  func version7(lastOptions: UInt64 = 0) -> [UInt8] {
    var file = ByteWriter()
    file.add([0x17, 0x08, 0x44] + Array("tracing".utf8))
    file.text("7")
    file.add([ByteWriter.isBigEndian ? 1 : 0, 8])
    file.add(pageSize)
    file.text(compression.rawValue)
    file.text(compression == .none ? "" : "1.5.4")
    let head = file.bytes.count
    file.add(UInt64(0))
    var places: [(UInt16, UInt64)] = []
    func section(_ id: UInt16, _ body: [UInt8]) {
      places.append((id, UInt64(file.bytes.count)))
      add(section: id, body, isPacked: compression != .none, to: &file)
    }
    section(16, Formats.headers(longSize: longSize))
    var ftrace = ByteWriter()
    ftrace.add(UInt32(0))
    section(17, ftrace.bytes)
    section(18, systems)
    var symbols = ByteWriter()
    symbols.add(UInt32(self.symbols.utf8.count))
    symbols.add(Array(self.symbols.utf8))
    section(19, symbols.bytes)
    var names = ByteWriter()
    names.add(UInt64(9))
    names.add(Array("7 vcpu 0\n".utf8))
    section(21, names.bytes)
    let first = UInt64(file.bytes.count)
    // The next options follow the data, so their place is set below.
    var list = ByteWriter()
    for (id, offset) in places { Self.option(id, offset.bytes, to: &list) }
    for option in options { Self.option(option.id, option.data, to: &list) }
    Self.option(0, [UInt8](repeating: 0, count: 8), to: &list)
    add(section: 0, list.bytes, isPacked: false, to: &file)
    let next = file.bytes.count - 8
    var buffers = ByteWriter()
    for instance in instances {
      var option = ByteWriter()
      option.add(UInt64(file.bytes.count))
      option.text(instance.name)
      option.text(instance.clock)
      option.add(pageSize)
      option.add(UInt32(instance.cpus.count))
      for cpu in instance.cpus {
        let bytes = data(cpu)
        file.pad(to: Int(pageSize))
        option.add(cpu.number)
        option.add(UInt64(file.bytes.count))
        option.add(UInt64(bytes.count))
        file.add(bytes)
      }
      Self.option(3, option.bytes, to: &buffers)
    }
    Self.option(0, lastOptions.bytes, to: &buffers)
    file.set(UInt64(file.bytes.count), at: next)
    add(section: 0, buffers.bytes, isPacked: compression != .none, to: &file)
    file.set(first, at: head)
    return file.bytes
  }

  private func add(
    section id: UInt16, _ body: [UInt8], isPacked: Bool, to file: inout ByteWriter
  ) {
    let content = isPacked ? block(body) : body
    file.add(id)
    file.add(UInt16(isPacked ? 1 : 0))
    file.add(UInt32(0))
    // Some versions of trace-cmd wrote a compressed section's size without its first 4 bytes.
    file.add(UInt64(isPacked ? content.count - 4 : content.count))
    file.add(content)
  }

  private static func option(_ id: UInt16, _ data: [UInt8], to list: inout ByteWriter) {
    list.add(id)
    list.add(UInt32(data.count))
    list.add(data)
  }

  // MARK: Version 6

  func version6() -> [UInt8] {
    var file = ByteWriter()
    file.add([0x17, 0x08, 0x44] + Array("tracing".utf8))
    file.text("6")
    file.add([ByteWriter.isBigEndian ? 1 : 0, 8])
    file.add(pageSize)
    file.add(Formats.headers(longSize: longSize))
    file.add(UInt32(0))
    file.add(systems)
    file.add(UInt32(symbols.utf8.count))
    file.add(Array(symbols.utf8))
    file.add(UInt32(0))
    file.add(UInt64(9))
    file.add(Array("7 vcpu 0\n".utf8))
    file.add(UInt32(instances[0].cpus.count))
    file.text("options  ")
    var places: [Int] = []
    for instance in instances.dropFirst() {
      file.add(UInt16(3))
      file.add(UInt32(8 + instance.name.utf8.count + 1))
      places.append(file.bytes.count)
      file.add(UInt64(0))
      file.text(instance.name)
    }
    file.add(UInt16(4))
    file.add(UInt32(0))
    for option in options { Self.option(option.id, option.data, to: &file) }
    file.add(UInt16(0))
    table(instances[0], to: &file)
    for (place, instance) in zip(places, instances.dropFirst()) {
      file.set(UInt64(file.bytes.count), at: place)
      table(instance, to: &file)
    }
    return file.bytes
  }

  private func table(_ instance: Instance, to file: inout ByteWriter) {
    file.text("flyrecord")
    var places: [Int] = []
    for _ in instance.cpus {
      places.append(file.bytes.count)
      file.add(UInt64(0))
      file.add(UInt64(0))
    }
    let clock = "global [\(instance.clock)] counter"
    file.add(UInt64(clock.utf8.count))
    file.add(Array(clock.utf8))
    for (place, cpu) in zip(places, instance.cpus) {
      let bytes = cpu.pages.flatMap(\.self)
      file.pad(to: Int(pageSize))
      file.set(UInt64(file.bytes.count), at: place)
      file.set(UInt64(bytes.count), at: place + 8)
      file.add(bytes)
    }
  }
}

extension UInt64 {
  /// As ``ByteWriter`` writes it.
  var bytes: [UInt8] {
    let bytes = (0..<8).map { UInt8(truncatingIfNeeded: self >> (8 * UInt64($0))) }
    return ByteWriter.isBigEndian ? bytes.reversed() : bytes
  }
}

/// Builds one ring-buffer page.
struct PageBuilder {
  var time: UInt64
  var longSize = 8
  private var data = ByteWriter()
  /// Events missed before the page; nil: the page does not say how many.
  var missed: UInt64? = 0

  init(time: UInt64, missed: UInt64? = 0, longSize: Int = 8) {
    self.time = time
    self.missed = missed
    self.longSize = longSize
  }

  private mutating func head(_ type: UInt32, _ delta: UInt64) {
    let delta = UInt32(truncatingIfNeeded: delta)
    data.add(ByteWriter.isBigEndian ? type << 27 | delta : type | delta << 5)
  }

  mutating func entry(after delta: UInt64, pc: UInt64) {
    head(4, delta)
    data.add(Formats.entryRaw(pc: pc))
  }

  /// The same event with its size in a word of its own.
  mutating func sizedEntry(after delta: UInt64, pc: UInt64) {
    head(0, delta)
    data.add(UInt32(20))
    data.add(Formats.entryRaw(pc: pc))
  }

  mutating func record(after delta: UInt64, _ raw: [UInt8]) {
    head(UInt32(raw.count / 4), delta)
    data.add(raw)
  }

  mutating func timeExtend(_ delta: UInt64) {
    head(30, delta & 0x7ff_ffff)
    data.add(UInt32(truncatingIfNeeded: delta >> 27))
  }

  mutating func timeStamp(_ time: UInt64) {
    head(31, time & 0x7ff_ffff)
    data.add(UInt32(truncatingIfNeeded: time >> 27))
  }

  /// A discarded event of `size` bytes after its header.
  mutating func padding(after delta: UInt64, size: UInt32) {
    head(29, delta)
    data.add(size)
    data.add([UInt8](repeating: 0xee, count: Int(size) - 4))
  }

  /// The rest of the page is nothing.
  mutating func nothing() {
    head(29, 0)
    data.add(UInt32(0xffff_fff0))
  }

  func bytes(size: Int = 4096, commit: UInt64? = nil) -> [UInt8] {
    var page = ByteWriter()
    page.add(time)
    var used = commit ?? UInt64(data.bytes.count)
    if missed != 0 { used |= 1 << 31 }
    if let missed, missed > 0 { used |= 1 << 30 }
    if longSize == 8 { page.add(used) } else { page.add(UInt32(used)) }
    page.add(data.bytes)
    if let missed, missed > 0 {
      if longSize == 8 { page.add(missed) } else { page.add(UInt32(missed)) }
    }
    page.add([UInt8](repeating: 0, count: max(0, size - page.bytes.count)))
    return page.bytes
  }
}

/// A zlib stream of stored blocks: RFC 1950, RFC 1951 section 3.2.4.
enum StoredZlib {
  static func stream(_ bytes: [UInt8]) -> [UInt8] {
    var stream: [UInt8] = [0x78, 0x01]
    var rest = bytes[...]
    repeat {
      let block = rest.prefix(0xffff)
      rest = rest.dropFirst(block.count)
      let size = UInt16(block.count)
      stream.append(rest.isEmpty ? 1 : 0)
      for value in [size, ~size] {
        stream += [UInt8(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value >> 8)]
      }
      stream += block
    } while !rest.isEmpty
    var a: UInt32 = 1
    var b: UInt32 = 0
    for byte in bytes {
      a = (a + UInt32(byte)) % 65521
      b = (b + a) % 65521
    }
    let sum = b << 16 | a
    return stream + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: sum >> $0) }
  }
}

/// What reading a built trace.dat gives.
struct TraceDatOutcome {
  var events: [Event] = []
  var recording: Recording
  var losses: Losses

  init(_ bytes: [UInt8]) throws(TraceError) {
    let file = TemporaryFile(bytes)
    var reader = try TraceDatFile(path: file.path)
    var events: [Event] = []
    try reader.readEvents { event in events.append(copy event) }
    self.events = events
    recording = reader.recording
    losses = reader.losses
  }

  /// "time cpu pc" of kvm_entry, "time cpu lost n" of losses, in the order delivered.
  var lines: [String] {
    events.map { event in
      switch event.payload {
      case .entry(let pc): "\(event.time) \(event.cpu) \(pc)"
      case .lost(let count): "\(event.time) \(event.cpu) lost \(count)"
      default: "\(event.time) \(event.cpu) other"
      }
    }
  }
}
