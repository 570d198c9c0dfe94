import Bytes

/// Copies recordings that are directories, into a directory of their own.
///
/// Only what the reader reads is copied: what else lies beside a recording may hold keys as well.
struct FolderRedaction {
  private let output: String
  private let masking: KeyMasking
  private(set) var replaced: UInt64 = 0

  /// Puts the copy of `input` at `output`, which must not exist yet.
  /// - Returns: how many key values were replaced.
  static func copy(
    _ input: String, to output: String, _ masking: KeyMasking
  ) throws(Redaction.Failure) -> UInt64 {
    guard output != "-", Folder.names(in: output) == nil else {
      throw Redaction.Failure(
        cannot: "it is a directory, and so is its copy: name one that does not exist yet")
    }
    var copy = FolderRedaction(output: output, masking: masking)
    if let folder = RawBufferFolder(input) {
      try copy.rawBuffers(folder)
    } else if PartFiles.list(input) != nil {
      try copy.perfData(input)
    } else {
      throw Redaction.Failure(
        cannot: "the directory is no recording: neither a perf.data's `data` nor dumps of ring "
          + "buffers lie in it")
    }
    return copy.replaced
  }

  private init(output: String, masking: KeyMasking) {
    self.output = output
    self.masking = masking
  }

  // MARK: perf record --threads

  private mutating func perfData(_ input: String) throws(Redaction.Failure) {
    var names: [String] = []
    let map = try Self.map(perfData: input, &names)
    for name in names { try Self.require(name, in: input) }
    let recording = try PerfDataRedaction(map, path: input)
    let places = map.parts
    let bytes = map.bytes
    var growth: [Int] = []
    // The first pass writes nothing: it finds what cannot be rewritten, and what changes its size.
    for (index, place) in places.enumerated() {
      let trial = PatchedCopy(nil, masking, from: place.lowerBound)
      try recording.run(bytes, file: index, growth: 0, trial)
      growth.append(trial.count - place.count)
    }
    try makeDirectory("")
    for (index, name) in names.enumerated() {
      let copy = PatchedCopy(
        try sink(String(name.split(separator: "/").last ?? "")), masking,
        from: places[index].lowerBound)
      try recording.run(bytes, file: index, growth: growth[index], copy)
      try finish(copy)
    }
  }

  private static func map(
    perfData input: String, _ names: inout [String]
  ) throws(Redaction.Failure) -> MappedFile {
    do throws(TraceError) { return try PerfDataFile.map(input, names: &names) } catch {
      throw .recording(error)
    }
  }

  // MARK: raw ring buffers

  private mutating func rawBuffers(_ folder: RawBufferFolder) throws(Redaction.Failure) {
    for file in folder.dumps + folder.stats { try Self.require(file.path, in: folder.path) }
    let map = try Self.map(folder)
    let formats: EventFormats
    let reading: BufferReading
    do throws(TraceError) {
      reading = try BufferReading(
        raw: folder, parts: map.parts, fileSize: UInt64(map.byteCount), formats: nil)
      formats = try EventFormats(at: folder.folder(["events", "formats"]) ?? "")
    } catch {
      throw .recording(error)
    }
    guard !reading.recording.isIncomplete else {
      throw Redaction.Failure(cannot: "a dump ends inside of a page, so not every key can be found")
    }
    try Self.require(formats.path, in: PartFiles.directory(of: formats.path))
    if let file = folder.file("header_page") { try Self.require(file.path, in: file.place) }
    if formats.pageHeader != nil {
      try Self.require("\(formats.path)/header_page", in: formats.path)
    }
    let header = formats.pageHeader ?? folder.text("header_page") ?? []
    guard let layout = PageLayout(header.rawBytes) else {
      throw Redaction.Failure(cannot: "no page of a ring buffer can be as header_page says")
    }
    let pageSize = layout.data + (layout.dataSize ?? 4096 - layout.data)
    let pages = try PageRedaction(layout, formats.all)
    let bytes = map.bytes
    for part in map.parts {
      try Self.rewrite(
        bytes, part, pageSize, pages, PatchedCopy(nil, masking, from: part.lowerBound))
    }
    try makeDirectory("")
    for (dump, part) in zip(folder.dumps, map.parts) {
      let copy = PatchedCopy(
        try sink("cpu\(dump.cpu).trace_pipe_raw"), masking, from: part.lowerBound)
      try Self.rewrite(bytes, part, pageSize, pages, copy)
      try finish(copy)
    }
    for stats in folder.stats {
      if let text = folder.text(of: stats) { try write(text, to: "cpu\(stats.cpu).stats") }
    }
    for name in ["trace_clock", "saved_cmdlines", "kallsyms"] {
      guard let file = folder.file(name) else { continue }
      try Self.require(file.path, in: file.place)
      try write(file.text, to: name)
    }
    try copyFormats(formats.path, header)
  }

  private static func map(_ folder: RawBufferFolder) throws(Redaction.Failure) -> MappedFile {
    do throws(MappedFile.Failure) {
      return try MappedFile(
        paths: folder.dumps.map(\.path), unpackedLimit: RecordingFile.unpackedLimit)
    } catch {
      throw .recording(TraceError(TraceError.Code(error)))
    }
  }

  private static func rewrite(
    _ bytes: RawSpan, _ part: Range<Int>, _ pageSize: Int, _ pages: PageRedaction,
    _ copy: PatchedCopy
  ) throws(Redaction.Failure) {
    for offset in stride(from: part.lowerBound, to: part.upperBound, by: pageSize) {
      guard var page = bytes.slice(at: offset, count: pageSize)?.copied() else { break }
      try pages.rewrite(&page, copy.masked)
      try copy.replace(bytes, at: offset, length: pageSize, with: page)
    }
  }

  /// Format files, as tracefs has them: events/SYSTEM/EVENT/format.
  private func copyFormats(_ place: String, _ header: [UInt8]) throws(Redaction.Failure) {
    try makeDirectory("events")
    try write(header, to: "events/header_page")
    for system in Folder.names(in: place) ?? [] where Folder.isDirectory("\(place)/\(system)") {
      try makeDirectory("events/\(system)")
      for name in Folder.names(in: "\(place)/\(system)") ?? [] {
        let isFile = name.hasSuffix(".format")
        let file = isFile ? "\(system)/\(name)" : "\(system)/\(name)/format"
        guard let text = Folder.contents("\(place)/\(file)", limit: EventFormats.fileLimit) else {
          continue
        }
        try Self.require("\(place)/\(file)", in: place)
        if !isFile { try makeDirectory("events/\(system)/\(name)") }
        try write(text, to: "events/\(file)")
      }
    }
  }

  /// The copy is for others: what a link in a stranger's recording leads to is not for them.
  private static func require(_ path: String, in folder: String) throws(Redaction.Failure) {
    guard !Folder.isInside(path, folder) else { return }
    throw Redaction.Failure(
      cannot: "\(path) is a link that leads out of \(folder): the copy would hold what lies there")
  }

  // MARK: files of the copy

  private func makeDirectory(_ name: String) throws(Redaction.Failure) {
    let path = name.isEmpty ? output : "\(output)/\(name)"
    do throws(SystemFileError) { try SystemFile.makeDirectory(path) } catch {
      throw Redaction.Failure(cannot: "\(error)")
    }
  }

  private func sink(_ name: String) throws(Redaction.Failure) -> ByteSink {
    do throws(ByteSinkError) { return try ByteSink(path: "\(output)/\(name)") } catch {
      throw .output(error)
    }
  }

  private func write(_ bytes: [UInt8], to name: String) throws(Redaction.Failure) {
    let sink = try sink(name)
    do throws(ByteSinkError) {
      try sink.write(bytes)
      try sink.finish()
    } catch {
      throw .output(error)
    }
  }

  private mutating func finish(_ copy: PatchedCopy) throws(Redaction.Failure) {
    try copy.finish()
    replaced += copy.replaced
  }
}
