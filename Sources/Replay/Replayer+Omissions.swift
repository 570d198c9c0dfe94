import Ptrauth
import Trace

// What the recorder left out. Of thinned events no two belong together: a kvm_entry and the next kvm_exit may be of
// different runs. Only what one sample shows by itself is judged then, and no bit is claimed.
extension Replayer.Configuration {
  /// What can be concluded from either is the same.
  public func showsTheSame(as other: Self) -> Bool {
    let named = resolve != nil
    return omissions == other.omissions && isDamaged == other.isDamaged
      && Capabilities(recordedEvents, probesHaveNames: named)
        == Capabilities(other.recordedEvents, probesHaveNames: named)
  }

  /// Events that the replay puts together with others, and that were thinned out.
  var thinned: [Omissions.Thinned] {
    let probes = Set(recordedEvents.lazy.filter(\.isProbe).map(\.label))
    return omissions.thinned.filter {
      $0.event.hasPrefix("kvm:") || probes.contains($0.event)
        || ["sched:sched_switch", "sched:sched_migrate_task"].contains($0.event)
    }
  }
}

extension Replayer {
  /// What one sample shows.
  static let shownBySamples: [Rule] = [.bitsDiffer, .switchWithoutFeature, .staleHostContext]

  /// The rules that may be reported of this recording.
  func admits(_ rule: Rule) -> Bool { !isThinned || Self.shownBySamples.contains(rule) }

  /// Why other rules are not judged.
  var thinning: Obstacle? {
    configuration.thinned.first.map { first in
      .notRecorded(
        reason: "\(Self.words(configuration.thinned)) recorded \(first.how.words)",
        remedy: "record every event: perf record without -F, -c and --filter")
    }
  }

  private static func words(_ thinned: [Omissions.Thinned]) -> String {
    let first = thinned.first?.event ?? ""
    return thinned.count == 1
      ? "\(first) was" : "\(first) and \(thinned.count - 1) more events were"
  }

  /// pCPUs on which tasks had their turns and no event was recorded, though task switches were elsewhere.
  var unrecordedCPUs: [Int32] {
    guard capabilities.hasSchedSwitch else { return [] }
    // One departure may be of a task that was placed there and moved on before it ran.
    return departures.filter { $0.value > 1 && !(cpus[$0.key]?.hasEvents ?? false) }.keys.sorted()
  }

  /// Some tasks were not recorded: on one pCPU a task is switched out that was never switched in.
  /// (Of thinned events no two belong together.)
  var leavesOutTasks: Bool {
    configuration.omissions.tasks || !isThinned && tornSwitches > Self.fewTorn
  }

  /// At the edges of a recording, and at losses, so many are no pattern.
  private static let fewTorn: UInt64 = 8

  /// What was left out for certain, in words: no verdict on it is clean.
  var missingParts: [String] {
    var parts: [String] = []
    if let first = configuration.thinned.first {
      parts.append("\(Self.words(configuration.thinned)) recorded \(first.how.words)")
    }
    if namelessEntries > 0 {
      parts.append(
        "the thread ids of \(namelessEntries) guest entries (recorded from another pid namespace?)")
    }
    parts += fetchChecks.parts
    let unseen = unrecordedCPUs
    if !unseen.isEmpty {
      let list = unseen.map(String.init).joined(separator: ", ")
      parts.append("pCPU\(unseen.count == 1 ? "" : "s") \(list) not recorded, where tasks ran")
    } else if configuration.omissions.cpus > 0 {
      let count = configuration.omissions.cpus
      parts.append(
        "\(count) of the pCPUs that were online \(count == 1 ? "was" : "were") not recorded")
    }
    return parts
  }
}
