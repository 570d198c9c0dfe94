import Ptrauth
import Replay

/// A rate that recordings are compared by. Rates, since no two recordings are of the same length.
public struct Metric: Sendable, Hashable {
  public var name: String
  /// What it counts, in a few words.
  public var words: String
  /// The entry loop re-enters without an event: what was counted is the least there was, unless executed
  /// instructions were recorded.
  public var isLowerBound: Bool

  private init(_ name: String, _ words: String, isLowerBound: Bool = false) {
    self.name = name
    self.words = words
    self.isLowerBound = isLowerBound
  }

  public static let trapsPerSecond = Metric(
    "traps-per-second", "ptrauth traps of vCPUs with the feature, per second of guest time")
  public static let trapsPerLoad = Metric("traps-per-load", "ptrauth traps per load")
  public static let switchesPerRun = Metric(
    "switches-per-run", "runs with keys switched, of all runs", isLowerBound: true)
  public static let switchesPerLoad = Metric(
    "switches-per-load", "runs with keys switched, per load", isLowerBound: true)
  public static let redundantShare = Metric(
    "redundant-share", "key register accesses for nothing, of all")
  public static let hostSavesPerLoad = Metric("host-saves-per-load", "host saves per load")
  public static let readsPerRun = Metric(
    "reads-per-run", "key register reads per run", isLowerBound: true)
  public static let writesPerRun = Metric(
    "writes-per-run", "key register writes per run", isLowerBound: true)
  public static let tripsPerRun = Metric("trips-per-run", "exits to the host for traps, per run")
  public static let accessesPerLoad = Metric(
    "accesses-per-load", "key register accesses per load", isLowerBound: true)
  public static let tripsPerLoad = Metric("trips-per-load", "exits to the host for traps, per load")

  public static let all = [
    trapsPerSecond, trapsPerLoad, switchesPerRun, switchesPerLoad, redundantShare,
    hostSavesPerLoad, readsPerRun, writesPerRun, tripsPerRun, accessesPerLoad, tripsPerLoad,
  ]

  public init?(named name: String) {
    guard let found = Self.all.first(where: { $0.name == name }) else { return nil }
    self = found
  }

  /// What counts switches and saves is no rate where they cannot be seen.
  public func isShown(by sample: Sample) -> Bool {
    needs.allSatisfy { !sample.hidden.contains($0.id) }
  }

  /// It counts traps, those of vCPUs that are not known to lack the feature.
  var isOfTraps: Bool {
    switch self {
    case .trapsPerSecond, .trapsPerLoad, .tripsPerRun, .tripsPerLoad: true
    default: false
    }
  }

  private var needs: [Rule] {
    switch self {
    case .trapsPerSecond, .trapsPerLoad, .tripsPerRun, .tripsPerLoad: []
    case .hostSavesPerLoad: [.redundantHostSave]
    case .readsPerRun, .accessesPerLoad, .redundantShare: [.redundantSwitch, .redundantHostSave]
    default: [.redundantSwitch]
    }
  }

  /// One value a recording.
  func values(_ sample: Sample) -> [Double] {
    if let merged = sample.merged { return merged.rates[self] ?? [] }
    return isShown(by: sample) ? value(sample).map { [$0] } ?? [] : []
  }

  /// Its value in one recording; nil where there is nothing to divide by.
  public func value(_ sample: Sample) -> Double? {
    let c = sample.counters
    guard sample.isUsable else { return nil }
    // What a pass and a save cost (the patch's macros): counted passes only.
    let cost = Cost.switchedPass * c.keySwitches + Cost.hostSave * c.hostSaves
    let trips = c.instructionTraps + c.registerTraps
    let traps = trips + c.hiddenTraps
    func per(_ count: UInt64, _ whole: UInt64) -> Double? {
      whole == 0 ? nil : Double(count) / Double(whole)
    }
    switch self {
    case .trapsPerSecond:
      return sample.guestTime.flatMap { per(traps, $0) }.map { $0 * 1e9 }
    case .trapsPerLoad: return per(traps, c.loads)
    case .switchesPerRun: return per(c.keySwitches, c.runs)
    case .switchesPerLoad: return per(c.keySwitches, c.loads)
    case .redundantShare: return per(sample.redundantAccesses, cost.accesses)
    case .hostSavesPerLoad: return per(c.hostSaves, c.loads)
    case .readsPerRun: return per(cost.reads, c.runs)
    case .writesPerRun: return per(cost.writes, c.runs)
    case .tripsPerRun: return per(trips, c.runs)
    case .accessesPerLoad: return per(cost.accesses, c.loads)
    case .tripsPerLoad: return per(trips, c.loads)
    default: return nil
    }
  }
}
