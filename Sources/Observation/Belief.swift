public import Ptrauth

/// What is possible of one vCPU, under each hypothesis: a number in the table of an ``Observer``.
public struct Belief: Sendable, Hashable, BitwiseCopyable {
  let id: UInt32
}

/// Some of the hypotheses of an ``Observer``, by their place in its bank.
public struct HypothesisSet: OptionSet, Sendable, Hashable, BitwiseCopyable {
  public var rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
  package static let limit = 64

  init(place: Int) { rawValue = 1 << UInt64(place) }

  public func contains(place: Int) -> Bool { contains(HypothesisSet(place: place)) }

  /// The generation's own code, first of the bank.
  public static let standard = HypothesisSet(rawValue: 1)
}

/// What one event did to a belief.
public struct Update: Sendable, Hashable {
  public var belief: Belief
  /// The hypotheses under which it cannot have happened here, though the order of events alone could: each goes on
  /// with all that it leaves possible from now on.
  public var refuted: HypothesisSet
  /// No order of events explains it: some are missing, and nothing is known of it.
  public var isOutOfPlace: Bool
  /// The shadow as this event finds it under the standard, whatever was sampled; of an event that samples it.
  public var expected: EnableBits
  /// The standard as other hosts run it, where that does not find just the same.
  public var undecided: HypothesisSet
}
