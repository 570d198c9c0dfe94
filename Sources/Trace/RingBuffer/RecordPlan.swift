/// How the raw records of a ring buffer are told apart and decoded: by their `common_type`.
package struct RecordPlan {
  package struct Source {
    /// `common_pid`: the thread that was current.
    package var thread: NumberField = .absent
    /// Index into the event or probe decoders, -1: none.
    var eventDecoder = -1
    var probeDecoder = -1

    var isDelivered: Bool { eventDecoder >= 0 || probeDecoder >= 0 }
  }

  static let none = -1

  /// One per format.
  package private(set) var sources: [Source] = []
  /// The events of the recording, one per source.
  private(set) var recorded: [RecordedEvent] = []
  /// ftrace's own events are in every recording: they are told only if they were hit.
  private(set) var isTold: [Bool] = []
  package private(set) var events: [EventDecoder] = []
  package private(set) var probes: [ProbeDecoder] = []
  private(set) var complaints: [FormatComplaint] = []
  /// Source by `common_type`, ``none`` without a format.
  private var byType: [Int] = []
  /// Where `common_type` lies in a record; the same in all.
  package private(set) var type: NumberField = .absent

  package init(_ formats: [EventFormat]) {
    for format in formats {
      guard let number = UInt16(exactly: format.id) else { continue }
      let place = Int(number)
      if place >= byType.count {
        byType.append(
          contentsOf: repeatElement(Self.none, count: place + 1 - byType.count))
      }
      byType[place] = sources.count
      if !type.isPresent {
        type = Self.common("common_type", format)
      }
      var source = Source()
      source.thread = Self.common("common_pid", format)
      decode(format, &source)
      sources.append(source)
      isTold.append(format.system != "ftrace")
      recorded.append(
        RecordedEvent(
          system: format.system, name: format.name, isProbe: format.isProbe,
          fields: format.fields.map(\.name)))
    }
  }

  private static func common(_ name: String, _ format: EventFormat) -> NumberField {
    format.commonFields.first { $0.name == name }
      .flatMap { NumberField($0, isSwapped: format.isBigEndian) } ?? .absent
  }

  private mutating func decode(_ format: EventFormat, _ source: inout Source) {
    var complaints: [String] = []
    if let probe = ProbeDecoder(format, complaints: &complaints) {
      source.probeDecoder = probes.count
      probes.append(probe)
    } else {
      var complaint: String?
      if let event = EventDecoder(format, complaint: &complaint) {
        source.eventDecoder = events.count
        events.append(event)
      }
      if let complaint { complaints.append(complaint) }
    }
    self.complaints.add(complaints, of: format)
  }

  /// The source of a record of that `common_type`, ``none`` if no format describes it.
  @inline(__always)
  func source(ofType type: UInt64) -> Int {
    type < UInt64(byType.count) ? byType[Int(truncatingIfNeeded: type)] : Self.none
  }
}
