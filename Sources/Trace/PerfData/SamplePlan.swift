/// How to read the samples of one file: its sources, how to tell them apart, and their decoders.
struct SamplePlan {
  /// How the source of a sample is found.
  enum Identity {
    /// There is one source.
    case single
    /// By the id at this offset of every sample, in bytes.
    case id(Int)
    /// Samples have no ids and one layout: by the event number in their raw bytes.
    case commonType([UInt16: UInt16])
  }

  private(set) var sources: [SampleSource] = []
  /// Of each source.
  private(set) var glances: [SampleSource.Glance] = []
  private(set) var events: [EventDecoder] = []
  private(set) var probes: [ProbeDecoder] = []
  let identity: Identity
  let index: SourceIndex
  /// The id of a record that is no sample lies there, from its end in bytes; 0: nowhere.
  let trailingID: Int
  /// The events of the recording, one per name.
  private(set) var recorded: [RecordedEvent] = []
  private(set) var warnings: [String] = []
  private(set) var complaints: [FormatComplaint] = []
  /// "system:name" by attribute.
  var names: [String] {
    sources.map { $0.recorded >= 0 ? recorded[$0.recorded].label : "" }
  }
  /// The events whose samples say which instructions ran.
  private(set) var instructionSources: [InstructionSource] = []
  /// Two events of a pCPU may have the same time.
  let hasCoarseClock: Bool
  /// The records are of the other byte order.
  let isSwapped: Bool

  /// - Parameter supplied: formats for a recording that has none itself.
  init(
    _ attributes: [PerfAttribute], _ features: FeatureSections, isSwapped: Bool,
    supplied: EventFormats?
  ) throws(TraceError) {
    self.isSwapped = isSwapped
    hasCoarseClock = attributes.contains(where: \.hasCoarseClock)
    guard attributes.count < Int(SourceIndex.none) else {
      throw TraceError(.isCorrupt(part: "event table", reason: "it has too many events"))
    }
    sources = attributes.map { attribute in
      let type = UInt16(truncatingIfNeeded: attribute.config)
      return SampleSource(
        layout: SampleLayout(attribute), commonType: isSwapped ? type.byteSwapped : type,
        isTracepoint: attribute.type == PerfAttribute.tracepoint)
    }
    identity = try Self.identity(attributes, sources)
    index = SourceIndex(attributes)
    let trailing = Set(sources.map(\.layout.trailingID))
    trailingID = trailing.count == 1 ? Int(trailing.first ?? 0) : 0
    try bind(attributes, features, supplied)
    glances = sources.map(\.glance)
  }

  private static func identity(
    _ attributes: [PerfAttribute], _ sources: [SampleSource]
  ) throws(TraceError) -> Identity {
    if attributes.count == 1 { return .single }
    let places = Set(sources.map(\.layout.id))
    if places.count == 1, let place = places.first, place >= 0 { return .id(Int(place)) }
    guard places == [-1], Set(attributes.map(\.sampleType)).count == 1,
      Set(attributes.map(\.readFormat)).count == 1
    else { throw TraceError(.cannotTellEventsApart) }
    var types: [UInt16: UInt16] = [:]
    for (number, source) in sources.enumerated() where source.isTracepoint {
      types[source.commonType] = UInt16(truncatingIfNeeded: number)
    }
    return .commonType(types)
  }

  /// Names the events and finds a decoder for each.
  private mutating func bind(
    _ attributes: [PerfAttribute], _ features: FeatureSections, _ supplied: EventFormats?
  ) throws(TraceError) {
    let own = features.tracingData?.formats ?? []
    var formats: [UInt64: EventFormat] = [:]
    for format in own { formats[format.id] = format }
    if own.isEmpty, let supplied {
      formats = supplied.matching(attributes, features.names, &warnings)
    }
    var places: [String: Int] = [:]
    for (number, attribute) in attributes.enumerated() where !attribute.isDummy {
      let isTracepoint = attribute.type == PerfAttribute.tracepoint
      let format = isTracepoint ? formats[attribute.config] : nil
      let event = Self.event(attribute, format, features)
      let label = "\(event.system):\(event.name)"
      if let instructions = attribute.instructionSource(number, name: event.name) {
        sources[number].instructions = instructions.kind
        instructionSources.append(instructions)
      }
      if let place = places[label] {
        sources[number].recorded = place
      } else {
        places[label] = recorded.count
        sources[number].recorded = recorded.count
        recorded.append(event)
      }
      guard let format, sources[number].layout.hasRaw else { continue }
      try decode(format, number)
    }
    if formats.isEmpty, attributes.contains(where: { $0.type == PerfAttribute.tracepoint }) {
      warnings.append(
        "the recording has no event formats (its writer was killed, or its end is cut off), so its "
          + "events are counted and not decoded; none that fit were found beside it; give those of "
          + "the same boot with --formats, or let `perf record` end by itself or by SIGINT")
    }
  }

  private mutating func decode(_ format: EventFormat, _ number: Int) throws(TraceError) {
    var complaints: [String] = []
    if let probe = ProbeDecoder(format, complaints: &complaints) {
      sources[number].probeDecoder = probes.count
      probes.append(probe)
    } else {
      var complaint: String?
      if let event = EventDecoder(format, complaint: &complaint) {
        sources[number].eventDecoder = events.count
        events.append(event)
      }
      if let complaint { complaints.append(complaint) }
    }
    self.complaints.add(complaints, of: format)
    if sources[number].isDelivered, sources[number].layout.time < 0 {
      throw TraceError(.hasNoTime(event: "\(format.system):\(format.name)"))
    }
  }

  private static func event(
    _ attribute: PerfAttribute, _ format: EventFormat?, _ features: FeatureSections
  ) -> RecordedEvent {
    if let format {
      return RecordedEvent(
        system: format.system, name: format.name, isProbe: format.isProbe,
        fields: format.fields.map(\.name))
    }
    let isTracepoint = attribute.type == PerfAttribute.tracepoint
    let name =
      attribute.ids.lazy.compactMap { features.names[$0] }.first
      ?? features.namesByConfig[attribute.config]
      ?? (isTracepoint
        ? "tracepoint \(attribute.config)"
        : attribute.eventName ?? "event of type \(attribute.type), config \(attribute.config)")
    if isTracepoint, let colon = name.firstIndex(of: ":") {
      return RecordedEvent(
        system: String(name[..<colon]), name: String(name[name.index(after: colon)...]),
        isProbe: false, fields: [])
    }
    return RecordedEvent(system: "", name: name, isProbe: false, fields: [])
  }
}
