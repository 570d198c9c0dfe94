/// What is wrong with an event's format: worth a word only if the event was hit.
struct FormatComplaint {
  /// "system:name".
  var event: String
  var sentence: String
}

extension [FormatComplaint] {
  mutating func add(_ sentences: [String], of format: EventFormat) {
    for sentence in sentences where !contains(where: { $0.sentence == sentence }) {
      append(FormatComplaint(event: "\(format.system):\(format.name)", sentence: sentence))
    }
  }

  /// Those about events that were hit.
  func sentences(_ events: [RecordedEvent]) -> [String] {
    let hit = Set(events.lazy.filter { $0.count > 0 }.map(\.label))
    return filter { hit.contains($0.event) }.map(\.sentence)
  }
}
