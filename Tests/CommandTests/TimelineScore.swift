import Ptrauth
import Replay

/// A timeline's runs laid beside the ground truth.
struct TimelineScore {
  var runs = 0
  var matched = 0
  var known = 0
  var contradictions: [String] = []
  /// Ground-truth runs within the recorded window.
  var truthInside = 0

  /// The two clocks differ by a constant: the most common difference between a run and any truth run
  /// of its vCPU.
  init(_ runs: [Run], _ truth: GroundTruth) {
    self.runs = runs.count
    var byKey: [Key: [Run]] = [:]
    for run in runs { byKey[Key(run), default: []].append(run) }
    guard let offset = Self.offset(byKey, truth) else { return }
    for (key, runs) in byKey {
      let sorted = runs.sorted { $0.enter < $1.enter }
      let vcpu: UInt64
      switch key {
      case .pointer(let pointer): vcpu = pointer
      case .thread:
        // The vCPU whose entries coincide most.
        let best = truth.runs.max { a, b in
          Self.pair(sorted, a.value, offset).count < Self.pair(sorted, b.value, offset).count
        }
        guard let best else { continue }
        vcpu = best.key
      }
      for (run, real) in Self.pair(sorted, truth.runs[vcpu] ?? [], offset) { compare(run, real) }
    }
    let begin = runs.map(\.enter).min() ?? 0
    let end = runs.map(\.enter).max() ?? 0
    truthInside = truth.runs.values.reduce(0) { sum, list in
      sum
        + list.count {
          $0.time + offset >= Int64(begin) - 200_000 && $0.time + offset <= Int64(end) + 200_000
        }
    }
  }

  private enum Key: Hashable {
    case pointer(UInt64)
    case thread(Int32)
    init(_ run: Run) { self = run.vcpu.pointer.map(Key.pointer) ?? .thread(run.tid) }
  }

  private mutating func compare(_ run: Run, _ real: GroundTruth.Run) {
    matched += 1
    if run.atEntry.bits.isKnown, run.atExit.bits.isKnown { known += 1 }
    for (end, mine, cpu) in [
      ("entry", run.atEntry.bits, real.atEntry), ("exit", run.atExit.bits, real.atExit),
    ] {
      for (name, bit) in [("API", \EnableBits.api), ("APK", \EnableBits.apk)]
      where mine[keyPath: bit] != .unknown && mine[keyPath: bit] != cpu[keyPath: bit] {
        contradictions.append("\(name) at \(end) of the run at \(run.enter), tid \(run.tid)")
      }
    }
  }

  private static let bin: Int64 = 4000

  private static func offset(_ runs: [Key: [Run]], _ truth: GroundTruth) -> Int64? {
    var votes: [Int64: Int] = [:]
    let all = truth.runs.values.flatMap { $0.map(\.time) }
    for (key, list) in runs {
      let times: [Int64]
      switch key {
      case .pointer(let pointer): times = (truth.runs[pointer] ?? []).map(\.time)
      case .thread: times = all
      }
      for run in stride(from: 0, to: list.count, by: max(1, list.count / 40)).map({ list[$0] }) {
        for time in times {
          let difference = Int64(run.enter) - time
          votes[difference >= 0 ? difference / bin : (difference - bin + 1) / bin, default: 0] += 1
        }
      }
    }
    func support(_ key: Int64) -> Int {
      (votes[key] ?? 0) + (votes[key - 1] ?? 0) + (votes[key + 1] ?? 0)
    }
    return votes.keys.max { (support($0), -$0) < (support($1), -$1) }.map { $0 * bin + bin / 2 }
  }

  /// Pairs in order, each run with the nearest truth run within 200 µs.
  private static func pair(
    _ runs: [Run], _ truth: [GroundTruth.Run], _ offset: Int64
  ) -> [(Run, GroundTruth.Run)] {
    var result: [(Run, GroundTruth.Run)] = []
    var next = 0
    for run in runs {
      func distance(_ i: Int) -> Int64 { abs(truth[i].time + offset - Int64(run.enter)) }
      while next + 1 < truth.count, distance(next + 1) <= distance(next) { next += 1 }
      if next < truth.count, distance(next) <= 200_000 {
        result.append((run, truth[next]))
        next += 1
      }
    }
    return result
  }
}
