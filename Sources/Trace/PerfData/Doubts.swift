/// What was odd about the samples of a pass, by kind.
struct Doubts: Equatable {
  /// Samples of no event of the event table.
  var unknownEvents: UInt64 = 0
  /// Samples shorter than their layout or format.
  var shortSamples: UInt64 = 0
  /// Samples longer than what they say is in them: they may hold what came behind them.
  var longSamples: UInt64 = 0
  /// Samples whose raw bytes belong to another event than their id says.
  var wrongTypes: UInt64 = 0
  /// Samples of a CPU that cannot be.
  var impossibleCPUs: UInt64 = 0
  /// Records that are samples, or none, by what is in them, and not by their type.
  var hiddenSamples: UInt64 = 0
  /// Samples that the recorder wrote twice; they are taken once.
  var repeated: UInt64 = 0
  /// Events older than one that was delivered before.
  var late: UInt64 = 0

  /// Samples that are not used: no recorder writes them.
  var areDamage: Bool {
    unknownEvents + shortSamples + longSamples + wrongTypes + impossibleCPUs + hiddenSamples > 0
  }

  /// Sentences for the user.
  var warnings: [String] {
    var said: [String] = []
    func say(_ count: UInt64, _ one: String, _ many: String) {
      if count > 0 { said.append(count == 1 ? "1 sample \(one)" : "\(count) samples \(many)") }
    }
    say(
      unknownEvents, "has an id of no recorded event and is not used",
      "have ids of no recorded event and are not used")
    say(
      shortSamples, "is shorter than its event's description and is not used",
      "are shorter than their events' descriptions and are not used")
    say(
      longSamples, "is longer than what is in it, as if it held those behind it, and is not used",
      "are longer than what is in them, as if they held those behind them, and are not used")
    say(
      wrongTypes, "has raw bytes of another event than its id says and is not used",
      "have raw bytes of other events than their ids say and are not used")
    say(
      impossibleCPUs, "names a CPU that cannot be and is not used",
      "name CPUs that cannot be and are not used")
    say(
      hiddenSamples, "is said to be another record and is not used",
      "are said to be other records and are not used")
    say(
      repeated, "was written twice by the recorder, and is taken once",
      "were written twice by the recorder, and are taken once")
    if late > 0 {
      said.append(
        "\(late) event\(late == 1 ? "" : "s") came out of order, later than the recorder's rounds "
          + "allow")
    }
    return said
  }
}

/// First and last time of each pCPU's samples, in nanoseconds of the recording's clock; -1 stands for samples
/// that do not say their pCPU.
struct TimeSpans {
  /// No kernel has that many CPUs (NR_CPUS is 8192 at most).
  static let cpuLimit: UInt32 = 1 << 16

  private var first: [UInt64] = []
  private var last: [UInt64] = []
  private var unplaced: (first: UInt64, last: UInt64)?

  /// A sample without a pCPU.
  @inline(__always)
  mutating func noteUnplaced(_ time: UInt64) {
    guard let known = unplaced else {
      unplaced = (time, time)
      return
    }
    unplaced = (min(known.first, time), max(known.last, time))
  }

  /// false when there can be no such CPU.
  @inline(__always)
  mutating func note(_ time: UInt64, cpu: UInt32) -> Bool {
    guard cpu < Self.cpuLimit else { return false }
    let cpu = Int(cpu)
    if cpu >= first.count {
      let missing = cpu + 1 - first.count
      first.append(contentsOf: repeatElement(.max, count: missing))
      last.append(contentsOf: repeatElement(0, count: missing))
    }
    if time < first[cpu] { first[cpu] = time }
    if time > last[cpu] { last[cpu] = time }
    return true
  }

  var firstByCPU: [Int32: UInt64] { Self.byCPU(first, where: first, unplaced?.first) }
  var lastByCPU: [Int32: UInt64] { Self.byCPU(last, where: first, unplaced?.last) }

  private static func byCPU(
    _ values: [UInt64], where first: [UInt64], _ unplaced: UInt64?
  ) -> [Int32: UInt64] {
    var byCPU: [Int32: UInt64] = [:]
    byCPU[-1] = unplaced
    for (cpu, value) in values.enumerated() where first[cpu] != .max {
      byCPU[Int32(truncatingIfNeeded: cpu)] = value
    }
    return byCPU
  }
}
