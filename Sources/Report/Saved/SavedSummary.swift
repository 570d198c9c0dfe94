public import Fleet
import Ptrauth
import Regression
import Replay

/// A line of `--format summary`, read back.
public enum SavedSummary: Sendable {
  case tally(Tally, Group)
  /// Lines that another merge could not read.
  case damaged(NameCounts)

  public init(_ line: [UInt8]) throws(SavedFault) {
    let json: JSONValue
    do throws(JSONValue.Fault) { json = try JSONValue(line) } catch {
      throw SavedFault(description: "byte \(error.offset + 1): this is no JSON")
    }
    let saved = SavedObject(value: json, place: "")
    let schema = try saved.text("schema")
    guard schema == JSONFormat.summary.name else {
      throw SavedFault(
        description: "schema is \(schema); this version merges \(JSONFormat.summary.name), as "
          + "analyze --format summary writes it")
    }
    if let damaged = try saved.objectOrNull("damaged") {
      let counts = try NameCounts(damaged)
      guard !counts.isEmpty else { throw SavedFault(description: "damaged: it names no line") }
      self = .damaged(counts)
    } else {
      let tally = try Tally(saved)
      if let words = tally.contradiction { throw SavedFault(description: words) }
      self = .tally(tally, try Group(saved))
    }
  }
}

extension Group {
  fileprivate init(_ saved: SavedObject) throws(SavedFault) {
    let kernel = try saved.objectOrNull("kernel").map {
      Kernel(release: $0.textOrNull("release"), buildID: $0.textOrNull("buildId"))
    }
    var labels: [(key: String, value: String?)] = []
    for (key, value) in try saved.objectOrNull("labels")?.value.members ?? [] {
      guard Grouping.isKey(key) else {
        throw SavedFault(description: "labels: \"\(key)\" is no key of a label")
      }
      labels.append((key, value.text))
    }
    self.init(kernel, labels: labels)
    // Before `by` was written, a line without a kernel alone told it.
    let by = try saved.textsOrNull("by")
    isMergedOver = kernel == nil || by != nil
  }
}

extension Tally {
  fileprivate init(_ saved: SavedObject) throws(SavedFault) {
    self.init()
    recordings = try saved.count("recordings")
    let verdicts = try saved.object("verdicts")
    for verdict in Analysis.Verdict.allCases {
      let count = try verdicts.countOrZero(verdict.word)
      if count > 0 { self.verdicts[verdict] = count }
    }
    eventsMissing = try saved.count("eventsMissing")
    open = try saved.count("open")
    bytes = try saved.count("bytes")
    events = try saved.count("events")
    lost = try saved.count("lost")
    duration = try saved.count("duration")
    names = try saved.names("names")
    formats = try saved.names("formats")
    schemes = try saved.names("schemes")
    troubles = try saved.names("troubles")
    openNames = try saved.names("openNames")
    for (id, value) in try saved.object("rules").value.members ?? [] {
      guard let rule = Rule(id: id) else {
        throw SavedFault(description: "rules has \"\(id)\", which this version does not know")
      }
      rules[rule] = try RuleTally(SavedObject(value: value, place: "rules.\(id)."))
    }
    vcpus = try saved.count("vcpus")
    vms = try saved.count("vms")
    let counters = try saved.object("counters")
    for (name, count) in SummaryCounters.all {
      self.counters[keyPath: count] = try counters.count(name)
    }
    redundantAccesses = try saved.count("redundantAccesses")
    let bounds = try saved.object("lowerBounds")
    leastSwitches = try bounds.count("keySwitches")
    leastLoads = try bounds.count("loads")
    for (name, value) in try saved.object("rates").value.members ?? [] {
      guard let metric = Metric(named: name) else {
        throw SavedFault(description: "rates has \"\(name)\", which this version does not know")
      }
      let rates = SavedObject(value: value, place: "rates.\(name).")
      var sum = Rates()
      sum.recordings = try rates.sketch("recordings")
      sum.vms = try rates.sketch("vms")
      sum.vcpus = try rates.sketch("vcpus")
      self.rates[metric] = sum
    }
  }
}

extension RuleTally {
  fileprivate init(_ saved: SavedObject) throws(SavedFault) {
    self.init()
    for outcome in Outcome.allCases {
      let count = try saved.countOrZero(outcome.rawValue)
      if count > 0 { outcomes[outcome] = count }
    }
    for level in [Finding.Level.proved, .static, .suspected] {
      let count = try saved.countOrZero(level.word)
      if count > 0 { occurrences[level] = count }
    }
    reads = try saved.countOrZero("reads")
    writes = try saved.countOrZero("writes")
    trips = try saved.countOrZero("trips")
    places = try saved.names("places")
    examples = try saved.names("examples")
    reasons = try saved.names("reasons")
  }
}

extension NameCounts {
  fileprivate init(_ saved: SavedObject) throws(SavedFault) {
    self.init()
    for (name, value) in try saved.object("named").value.members ?? [] {
      guard let count = value.whole(UInt64.self), count > 0 else {
        throw SavedFault(description: "\(saved.place)named has a count that is none")
      }
      add(name, count)
    }
    let whole = try saved.count("total")
    guard whole >= total else {
      throw SavedFault(description: "\(saved.place)total is less than what it is the total of")
    }
    addOthers(whole - total)
  }
}

extension SavedObject {
  /// As large as a sum may become: whatever merge writes it reads.
  fileprivate func count(_ name: String) throws(SavedFault) -> UInt64 { try number(name) }

  fileprivate func countOrZero(_ name: String) throws(SavedFault) -> UInt64 {
    if case .null = value[name] { 0 } else { try count(name) }
  }

  fileprivate func names(_ name: String) throws(SavedFault) -> NameCounts {
    guard let saved = try objectOrNull(name) else { return NameCounts() }
    return try NameCounts(saved)
  }

  fileprivate func sketch(_ name: String) throws(SavedFault) -> RateSketch {
    var sketch = RateSketch()
    if case .null = value[name] { return sketch }
    for item in value[name].list ?? [.null] {
      guard let pair = item.list, pair.count == 2, let count = pair[1].whole(UInt64.self) else {
        throw SavedFault(description: "\(place)\(name) is no list of buckets")
      }
      if case .null = pair[0] {
        sketch.add(zeros: count)
      } else if let bucket = pair[0].whole(Int.self), RateSketch.range.contains(bucket) {
        sketch.add(count, in: bucket)
      } else {
        throw SavedFault(description: "\(place)\(name) has a bucket that is none")
      }
    }
    return sketch
  }
}
