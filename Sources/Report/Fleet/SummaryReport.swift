public import Fleet
import Ptrauth
import Regression
import Replay

/// `--format summary`: what a recording, or a group of them, says, in one line that adds up.
///
///     schema        "ptrauth-trace/summary/1"
///     toolVersion   of the ptrauth-trace that wrote it
///     kernel        release, buildId (null: not known); absent: merged over kernels
///     labels        {key: value}, as --label gave them (null: a recording without it)
///     by            what --by told recordings apart by: over all else they were merged; absent: over nothing
///     recordings    how many; all the rest are sums over them
///     verdicts      {verdict: recordings}
///     eventsMissing, open   recordings that miss events; that are no pass, whatever was found in others
///     bytes, events, lost, duration   of the recordings; duration in ns of their own clocks
///     names, formats, schemes, troubles, openNames   {total, named {name: count}}: base names of recordings, their
///                   formats and schemes; why recordings are open, and which. Of each the first eight by their bytes.
///     rules         {rule: broken, known, doubtful, kept, keptOutsideGaps, notJudged, impossible (recordings: one of
///                   these each; 0 is left out), proved, static, suspected (occurrences), reads, writes, trips (what
///                   they cost), places, examples (names of recordings that have it), reasons (of notJudged)}
///     vcpus, vms, redundantAccesses   sums
///     counters      sums over vCPUs; of instructionTraps, registerTraps and hiddenTraps over those that may have
///                   ptrauth: for others a trap is no cost of the key switch
///     lowerBounds   keySwitches, loads: recordings of which these are lower bounds
///     rates         {metric: recordings, vms, vcpus: [[bucket, count]]}; the bucket's number b is of values from 2^(b/128),
///                   linear between powers of two; null is 0
///
/// A line with `damaged` alone counts lines of an input that were no summary.
public enum SummaryReport {
  public static func line(_ tally: Tally, of group: Group) -> [UInt8] {
    var json = JSONWriter(pretty: false)
    json.object { json in
      json.begin(.summary)
      self.group(group, &json)
      by(group, &json)
      members(tally, &json)
    }
    json.newline()
    return json.bytes
  }

  /// All groups, in their order, and what could not be read.
  public static func render(_ fleet: Fleet) -> [UInt8] {
    var bytes = fleet.sorted.flatMap { line($0.tally, of: $0.group) }
    guard !fleet.damaged.isEmpty else { return bytes }
    var json = JSONWriter(pretty: false)
    json.object { json in
      json.begin(.summary)
      names("damaged", fleet.damaged, &json)
    }
    json.newline()
    bytes += json.bytes
    return bytes
  }

  static func group(_ group: Group, _ json: inout JSONWriter) {
    if let kernel = group.kernel {
      json.key("kernel")
      json.object { json in
        json.field("release", kernel.release?.text)
        json.field("buildId", kernel.buildID?.text)
      }
    }
    json.key("labels")
    json.object { json in for label in group.labels { json.field(label.key, label.value) } }
  }

  /// In one order, whatever that of --by was.
  private static func by(_ group: Group, _ json: inout JSONWriter) {
    guard group.isMergedOver else { return }
    json.key("by")
    json.array { json in
      if group.kernel != nil { json.value(Grouping.Facet.kernel.name) }
      for label in group.labels { json.value(Grouping.Facet.label(label.key).name) }
    }
  }

  static func members(_ tally: Tally, _ json: inout JSONWriter) {
    json.field("recordings", tally.recordings)
    json.key("verdicts")
    json.object { json in
      for verdict in Analysis.Verdict.allCases where tally.count(verdict) > 0 {
        json.field(verdict.word, tally.count(verdict))
      }
    }
    json.field("eventsMissing", tally.eventsMissing)
    json.field("open", tally.open)
    json.field("bytes", tally.bytes)
    json.field("events", tally.events)
    json.field("lost", tally.lost)
    json.field("duration", tally.duration)
    names("names", tally.names, &json)
    names("formats", tally.formats, &json)
    names("schemes", tally.schemes, &json)
    names("troubles", tally.troubles, &json)
    names("openNames", tally.openNames, &json)
    json.key("rules")
    json.object { json in
      for rule in Rule.all {
        guard let found = tally.rules[rule] else { continue }
        json.key(rule.id)
        json.object { self.rule(found, &$0) }
      }
    }
    json.field("vcpus", tally.vcpus)
    json.field("vms", tally.vms)
    json.key("counters")
    json.object { json in
      for (name, count) in SummaryCounters.all { json.field(name, tally.counters[keyPath: count]) }
    }
    json.field("redundantAccesses", tally.redundantAccesses)
    json.key("lowerBounds")
    json.object { json in
      json.field("keySwitches", tally.leastSwitches)
      json.field("loads", tally.leastLoads)
    }
    json.key("rates")
    json.object { json in
      for metric in Metric.all {
        guard let rates = tally.rates[metric], !rates.isEmpty else { continue }
        json.key(metric.name)
        json.object { json in
          sketch("recordings", rates.recordings, &json)
          sketch("vms", rates.vms, &json)
          sketch("vcpus", rates.vcpus, &json)
        }
      }
    }
  }

  private static func rule(_ tally: RuleTally, _ json: inout JSONWriter) {
    func sum(_ name: String, _ count: UInt64) { if count > 0 { json.field(name, count) } }
    for outcome in RuleTally.Outcome.allCases { sum(outcome.rawValue, tally.recordings(outcome)) }
    for level in [Finding.Level.proved, .static, .suspected] {
      sum(level.word, tally.occurrences[level] ?? 0)
    }
    sum("reads", tally.reads)
    sum("writes", tally.writes)
    sum("trips", tally.trips)
    names("places", tally.places, &json)
    names("examples", tally.examples, &json)
    names("reasons", tally.reasons, &json)
  }

  /// Nothing of no name.
  static func names(_ name: String, _ counts: NameCounts, _ json: inout JSONWriter) {
    guard !counts.isEmpty else { return }
    json.key(name)
    json.object { json in
      json.field("total", counts.total)
      json.key("named")
      json.object { json in for (name, count) in counts.sorted { json.field(name, count) } }
    }
  }

  private static func sketch(_ name: String, _ sketch: RateSketch, _ json: inout JSONWriter) {
    guard !sketch.isEmpty else { return }
    json.key(name)
    json.array { json in
      func bucket(_ number: Int?, _ count: UInt64) {
        json.array { json in
          json.value(number)
          json.value(count)
        }
      }
      if sketch.zeros > 0 { bucket(nil, sketch.zeros) }
      for (number, count) in sketch.buckets.sorted(by: { $0.key < $1.key }) {
        bucket(number, count)
      }
    }
  }
}

/// The counters of a summary, by the names that they have there.
enum SummaryCounters {
  static var all: [(name: String, count: WritableKeyPath<Counters, UInt64>)] {
    [
      ("loads", \.loads), ("puts", \.puts), ("runs", \.runs), ("knownRuns", \.knownRuns),
      ("enabledRuns", \.enabledRuns), ("instructionTraps", \.instructionTraps),
      ("registerTraps", \.registerTraps), ("hiddenTraps", \.hiddenTraps), ("undefs", \.undefs),
      ("resets", \.resets), ("hostSaves", \.hostSaves), ("keySwitches", \.keySwitches),
      ("guestTime", \.guestTime),
    ]
  }
}
