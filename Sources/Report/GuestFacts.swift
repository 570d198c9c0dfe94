/// A guest of the recorded host, as the recorder knew it, and its own recording.
public struct GuestFacts: Sendable {
  public var name: String
  /// vCPU number and thread on the host.
  public var threads: [(vcpu: Int32, tid: Int32)] = []
  public var recording: Recording?

  /// The recording that was made in the guest at the same time.
  public struct Recording: Sendable {
    public var path: String
    public var eventCount: UInt64
    /// CPUs of the guest with events.
    public var cpuCount: Int
    /// Time of the first event and of the last.
    public var span: (first: UInt64, last: UInt64)?
    /// Its times are those of the host's clock; otherwise they cannot be compared.
    public var hasHostTimes: Bool
    public var lostCount: UInt64 = 0
    public var isIncomplete = false
    public var warnings: [String] = []

    public init(
      path: String, eventCount: UInt64, cpuCount: Int, span: (first: UInt64, last: UInt64)?,
      hasHostTimes: Bool
    ) {
      self.path = path
      self.eventCount = eventCount
      self.cpuCount = cpuCount
      self.span = span
      self.hasHostTimes = hasHostTimes
    }
  }

  public init(name: String) { self.name = name }

  /// For the text report; times are said from the host's first event on.
  func words(hostBegins begin: UInt64) -> String {
    var words = "\(name): \(counted(UInt64(threads.count), "vCPU"))"
    if threads.isEmpty { words = name }
    guard let recording else { return words + "; its own recording is not here" }
    words +=
      "; \(recording.path), \(counted(recording.eventCount, "event")) on "
      + counted(UInt64(recording.cpuCount), "CPU")
    if recording.lostCount > 0 { words += ", \(recording.lostCount) lost" }
    if recording.isIncomplete { words += ", incomplete" }
    guard let span = recording.span else { return words }
    guard recording.hasHostTimes else {
      return words + "; its clock was not measured against the host's"
    }
    func offset(_ time: UInt64) -> String {
      time >= begin ? duration(time - begin) : "-" + duration(begin - time)
    }
    return words
      + ", from \(offset(span.first)) to \(offset(span.last)) behind the host's first event"
  }

  func write(_ json: inout JSONWriter) {
    json.field("name", name)
    json.key("vcpus")
    json.array { json in
      for (vcpu, tid) in threads {
        json.object { json in
          json.field("vcpuId", Int(vcpu))
          json.field("tid", Int(tid))
        }
      }
    }
    guard let recording else { return }
    json.field("path", recording.path)
    json.field("events", recording.eventCount)
    json.field("cpus", recording.cpuCount)
    json.field("lost", recording.lostCount)
    json.field("incomplete", recording.isIncomplete)
    json.field("hostClock", recording.hasHostTimes)
    if let span = recording.span {
      json.field("begin", span.first)
      json.field("end", span.last)
    }
  }
}
