/// What a recorder was told to leave out, as the recording says: the absence of such an event proves nothing.
public struct Omissions: Sendable, Equatable {
  /// Events of which only some were recorded, by "system:name".
  public var thinned: [Thinned] = []
  /// pCPUs that were online and not recorded: how many.
  public var cpus = 0
  /// Only some tasks were recorded.
  public var tasks = false

  public struct Thinned: Sendable, Equatable {
    public var event: String
    public var how: How

    public init(event: String, how: How) {
      self.event = event
      self.how = how
    }
  }

  public enum How: Sendable, Equatable {
    /// `perf record -c n`: one in n.
    case period(UInt64)
    /// `perf record -F n`: about so many a second.
    case frequency(UInt64)
    /// `perf record --filter`.
    case filter

    public var words: String {
      switch self {
      case .period(let period): "one in \(period) (perf record -c)"
      case .frequency(let frequency): "about \(frequency) a second (perf record -F)"
      case .filter: "only some (perf record --filter)"
      }
    }
  }

  public init() {}
}

extension Omissions {
  /// Of a perf.data. Perf opens a tracepoint on each pCPU that is online, with an id for each; a recording of a
  /// command alone begins at its exec (evsel__config, tools/perf/util/evsel.c).
  init(_ attributes: [PerfAttribute], names: [String], cpusOnline: Int?, commandLine: [String]) {
    let isFiltered = commandLine.contains { $0 == "--filter" || $0.hasPrefix("--filter=") }
    for (attribute, name) in zip(attributes, names) where attribute.type == PerfAttribute.tracepoint
    {
      if attribute.isFrequency {
        thinned.append(Thinned(event: name, how: .frequency(attribute.samplePeriod)))
      } else if attribute.samplePeriod > 1 {
        thinned.append(Thinned(event: name, how: .period(attribute.samplePeriod)))
      } else if isFiltered {
        // Which one it is of is not in the file.
        thinned.append(Thinned(event: name, how: .filter))
      }
      if attribute.followsTasks {
        tasks = true
      } else if let cpusOnline, !attribute.ids.isEmpty, attribute.ids.count < cpusOnline {
        cpus = max(cpus, cpusOnline - attribute.ids.count)
      }
    }
  }
}
