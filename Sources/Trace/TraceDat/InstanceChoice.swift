import Bytes

/// Which instances of a trace.dat's ring buffer are read: all with an event of use, if they have one clock.
///
/// An event that is on in several instances is in each of them, with nearly the same time. Of one thread on one
/// CPU it is taken from the instance that has most of it; instances that follow different threads
/// (set_event_pid) or CPUs (tracing_cpumask) add to one another.
struct InstanceChoice {
  /// What two records of one happening have in common.
  struct Key: Hashable {
    var source: Int
    var cpu: UInt32
    var thread: Int32
  }

  private(set) var buffers: [TraceBuffer]
  /// The buffer, by its number, that records are delivered from; only of what several have.
  private(set) var owners: [Key: Int] = [:]

  private typealias Used = (buffer: TraceBuffer, counts: [Key: UInt64])

  init(
    _ parts: TraceDatParts, _ plan: RecordPlan, _ file: RawSpan, _ warnings: inout [String]
  ) throws(TraceError) {
    buffers = parts.buffers
    guard buffers.count > 1 else { return }
    var used: [Used] = []
    for buffer in parts.buffers {
      let counts = try Self.counts(buffer, parts, plan, file)
      if !counts.isEmpty { used.append((buffer, counts)) }
    }
    guard let best = Self.best(of: used, plan) else {
      // Nothing of use: the top instance says what there is.
      buffers = buffers.filter(\.name.isEmpty)
      if buffers.isEmpty { buffers = parts.buffers }
      return
    }
    let clock = BufferReading.clock(of: [used[best].buffer], parts)
    for (buffer, _) in used where BufferReading.clock(of: [buffer], parts) != clock {
      warnings.append(
        "\(Self.name(buffer)) has another clock than \(Self.name(used[best].buffer)); it is not read"
      )
    }
    used.removeAll { BufferReading.clock(of: [$0.buffer], parts) != clock }
    choose(used, plan, &warnings)
    let others = buffers.filter { !$0.name.isEmpty }
    if others.isEmpty { return }
    warnings.append(
      (others.count == buffers.count
        ? "the top instance of the ring buffer holds no event of use; read instead: "
        : "read with the top instance of the ring buffer: ") + Self.names(others))
  }

  /// Instances that are left with nothing are not read.
  private mutating func choose(_ used: [Used], _ plan: RecordPlan, _ warnings: inout [String]) {
    var most: [Key: (count: UInt64, number: Int)] = [:]
    var shared: Set<Key> = []
    for (number, one) in used.enumerated() {
      for (key, count) in one.counts {
        guard let known = most[key] else {
          most[key] = (count, number)
          continue
        }
        shared.insert(key)
        if count > known.count { most[key] = (count, number) }
      }
    }
    let owning = Set(most.values.map(\.number))
    let kept = used.indices.filter { owning.contains($0) }
    buffers = kept.map { used[$0].buffer }
    for key in shared {
      owners[key] = most[key].flatMap { one in kept.firstIndex(of: one.number) }
    }
    guard !shared.isEmpty else { return }
    let sources = Set(shared.map(\.source)).sorted()
    warnings.append(
      "recorded in more than one instance, and taken from the one that has most of it: "
        + sources.prefix(4).map { plan.recorded[$0].title }.joined(separator: ", ")
        + (sources.count > 4 ? " and \(sources.count - 4) more" : ""))
  }

  /// The one with most entries to guests, then with most events.
  private static func best(of used: [Used], _ plan: RecordPlan) -> Int? {
    let entry = plan.recorded.firstIndex { $0.title == "kvm:kvm_entry" }
    let weights = used.map { one in
      var entries: UInt64 = 0
      var all: UInt64 = 0
      for (key, count) in one.counts {
        if key.source == entry { entries.saturatingAdd(count) }
        all.saturatingAdd(count)
      }
      return (entries, all)
    }
    return weights.indices.max {
      weights[$0] != weights[$1] ? weights[$0] < weights[$1] : $0 > $1
    }
  }

  /// Records of one instance that would be delivered.
  private static func counts(
    _ buffer: TraceBuffer, _ parts: TraceDatParts, _ plan: RecordPlan, _ file: RawSpan
  ) throws(TraceError) -> [Key: UInt64] {
    let set = try StreamSet([buffer], parts, fileSize: UInt64(file.byteCount))
    var streams = set.streams(file)
    var slots = try set.slots()
    var counts: [Key: UInt64] = [:]
    for number in streams.indices {
      while streams[number].advance(file, &slots) != .end {
        guard streams[number].size > 0, let record = streams[number].record(file, slots),
          let type = plan.type.read(record)
        else { continue }
        let source = plan.source(ofType: type)
        guard source >= 0, plan.sources[source].isDelivered else { continue }
        let thread = plan.sources[source].thread.int32(record) ?? -1
        counts[Key(source: source, cpu: streams[number].cpu, thread: thread), default: 0] += 1
      }
    }
    return counts
  }

  private static func name(_ buffer: TraceBuffer) -> String {
    buffer.name.isEmpty ? "the top instance" : "the instance \(buffer.name)"
  }

  private static func names(_ buffers: [TraceBuffer]) -> String {
    let said = buffers.prefix(8).map(\.name).joined(separator: ", ")
    return "the instance\(buffers.count == 1 ? "" : "s") "
      + (buffers.count > 8 ? "\(said) and \(buffers.count - 8) more" : said)
  }
}

extension RecordedEvent {
  fileprivate var title: String { "\(system):\(name)" }
}
