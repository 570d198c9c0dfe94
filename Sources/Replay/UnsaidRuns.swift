import Observation
import Ptrauth

/// Runs of one vCPU that no sample decides: they wait until what came behind them tells what can be said of them.
struct UnsaidRuns {
  /// The steps of a ``Trellis`` behind a run's kvm_entry, and behind its last guest exit.
  struct Steps {
    var entry: Int?
    var exit: Int?
  }

  private struct Waiting {
    var run: Run
    var steps: Steps
  }

  var trellis = Trellis()
  private var waiting: [Waiting] = []

  /// More than this are not kept waiting.
  private static let window = 4096

  var isEmpty: Bool { waiting.isEmpty && trellis.count == 0 }
  var areMany: Bool { waiting.count > Self.window || trellis.count > 16 * Self.window }

  mutating func add(_ run: Run, _ steps: Steps) {
    waiting.append(Waiting(run: run, steps: steps))
  }

  /// All that waits, with the bits that `hypotheses` leave no choice about; and nothing waits any longer.
  ///
  /// - Parameter lostSince: events are missing from this time (ns) on.
  mutating func take(
    _ observer: inout Observer, _ hypotheses: HypothesisSet, lostSince: UInt64 = .max
  ) -> [Run] {
    let limit = waiting.first { $0.run.enter >= lostSince }?.steps.entry ?? .max
    defer {
      waiting.removeAll(keepingCapacity: true)
      trellis.cut()
    }
    guard !waiting.isEmpty else { return [] }
    let first = trellis.end - trellis.count
    var beliefs: [Belief] = []
    trellis.smooth(&observer, before: limit) { beliefs.append($1) }
    beliefs.reverse()
    var known: [Belief: EnableBits] = [:]
    func bits(_ step: Int?) -> EnableBits {
      guard let step, step >= first, step - first < beliefs.count else { return .unknown }
      let belief = beliefs[step - first]
      if let bits = known[belief] { return bits }
      let bits = observer.live(belief, of: hypotheses)
      known[belief] = bits
      return bits
    }
    return waiting.map { waiting in
      var run = waiting.run
      run.atEntry.complete(with: bits(waiting.steps.entry))
      run.atExit.complete(with: bits(waiting.steps.exit))
      return run
    }
  }
}

extension KnownBits {
  /// What is not known of its own is what the model says.
  fileprivate mutating func complete(with implied: EnableBits) {
    let own = bits
    if bits.api == .unknown { bits.api = implied.api }
    if bits.apk == .unknown { bits.apk = implied.apk }
    if basis == .unknown, bits != own { basis = .implied }
  }
}
