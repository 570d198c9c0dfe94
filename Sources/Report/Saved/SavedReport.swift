import Ptrauth
import Replay

/// What `analyze --format json` wrote, read back as the documents it was made from.
public struct SavedReport: Sendable {
  public var parts: [HTMLReport.Part] = []
  /// Of an instruction log that the report ends with.
  public var passes: PassReport?

  /// - Parameter json: a document, or an array of them.
  public init(_ json: JSONValue) throws(SavedFault) {
    let documents = json.list ?? [json]
    for (number, document) in documents.enumerated() {
      let place = documents.count > 1 ? "[\(number)]." : ""
      try add(SavedObject(value: document, place: place))
    }
  }

  private mutating func add(_ saved: SavedObject) throws(SavedFault) {
    switch try saved.text("schema") {
    case JSONFormat.analysis.name: break
    case JSONFormat.passes.name:
      passes = try PassReport(saved)
      return
    case let other:
      throw SavedFault(
        description: "\(saved.place)schema is \(other); this version shows "
          + "\(JSONFormat.analysis.name): write the report again")
    }
    if let error = saved.textOrNull("error") {
      parts.append(.refused(path: try saved.object("recording").text("path"), error))
    } else {
      parts.append(.judged(try Document(saved)))
    }
  }
}

extension Document {
  fileprivate init(_ saved: SavedObject) throws(SavedFault) {
    let recording = try saved.object("recording")
    self.init(
      recording: try RecordingFacts(recording), kernel: try KernelFacts(try saved.object("kernel")),
      analysis: try Analysis(saved, recording))
    obstacle = saved.textOrNull("obstacle")
    if let counted = try saved.objectOrNull("instructions") { passes = try PassReport(counted) }
  }
}

extension RecordingFacts {
  fileprivate init(_ saved: SavedObject) throws(SavedFault) {
    self.init(
      path: try saved.text("path"), format: try saved.text("format"),
      byteCount: try saved.amount("bytes"), clock: try saved.text("clock"))
    osRelease = saved.textOrNull("osrelease")
    architecture = saved.textOrNull("arch")
    cpusOnline = try saved.amountOrNull("cpus")
    commandLine = try saved.texts("command")
    events = try saved.amounts("events").map { (name: $0.name, count: $0.value) }
    lostSamples = try saved.amount("lostSamples")
    isIncomplete = try saved.flag("incomplete")
    warnings = try saved.texts("warnings")
    if case .list = saved.value["guests"] {
      for guest in try saved.objects("guests") { guests.append(try GuestFacts(guest)) }
    }
  }
}

extension GuestFacts {
  fileprivate init(_ saved: SavedObject) throws(SavedFault) {
    self.init(name: try saved.text("name"))
    for vcpu in try saved.objects("vcpus") {
      threads.append((vcpu: try vcpu.number("vcpuId"), tid: try vcpu.number("tid")))
    }
    guard let path = saved.textOrNull("path") else { return }
    var span: (first: UInt64, last: UInt64)?
    if let first: UInt64 = saved.numberOrNull("begin"),
      let last: UInt64 = saved.numberOrNull("end")
    {
      span = (first, last)
    }
    var recording = Recording(
      path: path, eventCount: try saved.amount("events"), cpuCount: try saved.amount("cpus"),
      span: span, hasHostTimes: try saved.flag("hostClock"))
    recording.lostCount = try saved.amount("lost")
    recording.isIncomplete = try saved.flag("incomplete")
    self.recording = recording
  }
}

extension KernelFacts {
  fileprivate init(_ saved: SavedObject) throws(SavedFault) {
    self.init(
      match: try saved.text("match"),
      generation: saved.textOrNull("generationId").flatMap { Generation(named: $0) },
      generationBasis: try saved.text("generationBasis"))
    path = saved.textOrNull("vmlinux")
    buildID = saved.textOrNull("buildId")
    recordedBuildID = saved.textOrNull("recordedBuildId")
    usesPointerAuth = saved.value["usesPointerAuth"].flag
    for mark in try saved.objects("marks") {
      marks.append(
        Mark(
          description: try mark.text("mark"), outcome: try mark.text("outcome"),
          isConsistent: try mark.flag("consistent")))
    }
    for (rule, place) in try saved.object("sources").value.members ?? [] {
      sources[rule] = place.text.flatMap(SourcePlace.init(described:))
    }
  }
}

extension SourcePlace {
  /// The inverse of `description`.
  fileprivate init?(described text: String) {
    guard text.hasSuffix(")"), let open = text.firstRange(of: " (") else { return nil }
    let place = text[open.upperBound...].dropLast()
    guard let colon = place.lastIndex(of: ":"), let line = Int(place[colon...].dropFirst()) else {
      return nil
    }
    self.init(
      function: String(text[..<open.lowerBound]), file: String(place[..<colon]), line: line)
  }
}

extension PassReport {
  fileprivate init(_ saved: SavedObject) throws(SavedFault) {
    self.init(path: try saved.text("path"), try InstructionPasses(saved))
    event = saved.textOrNull("event")
  }
}
