/// The hypotheses that the events of some vCPU refuted, and since when: what a loss lies in front of refutes nothing.
public struct Refutations: Sendable {
  public private(set) var refuted = HypothesisSet()
  /// By place in the bank; of those that are refuted.
  private var since: [UInt64] = []

  public init() {}

  public mutating func note(_ set: HypothesisSet, _ time: UInt64) {
    guard !refuted.isSuperset(of: set) else { return }
    for place in 0..<HypothesisSet.limit
    where set.contains(place: place) && !refuted.contains(place: place) {
      while since.count <= place { since.append(0) }
      since[place] = time
    }
    refuted.formUnion(set)
  }

  /// Events are missing from `begin` on.
  public mutating func forget(since begin: UInt64) {
    for place in since.indices where refuted.contains(place: place) && since[place] >= begin {
      refuted.remove(HypothesisSet(place: place))
    }
  }
}
