/// A policy that remembers: an interval starts with ptrauth enabled if the vCPU used it in one of its
/// last `depth` intervals, and lazily otherwise. What it costs depends on the order of the intervals, so
/// it is added up as they come; only the last `depth` uses are kept.
public struct Hysteresis: Sendable, Hashable {
  /// 1...64.
  public let depth: Int
  public static let defaultDepth = 4

  /// Bit 0 is the last interval.
  private var used: UInt64 = 0
  private var unknown: UInt64 = 0
  private var last: (low: CostVector, high: CostVector)? {
    get { lastLow.map { ($0, lastHigh) } }
    set {
      lastLow = newValue?.low
      lastHigh = newValue?.high ?? .zero
    }
  }
  private var lastLow: CostVector?
  private var lastHigh = CostVector.zero
  private var sumLow = CostVector.zero
  private var sumHigh = CostVector.zero

  public init(depth: Int) { self.depth = max(1, min(64, depth)) }

  /// What all intervals cost, between these.
  public var low: CostVector { sumLow + (last?.low ?? .zero) }
  public var high: CostVector { sumHigh + (last?.high ?? .zero) }

  mutating func add(_ interval: LoadObservation) {
    settle()
    let passes =
      interval.quietPasses + interval.usedPasses + interval.unknownPasses
      + (interval.isCut ? 1 : 0)
    let eager = Self.eager(passes)
    // The retry of a cut pass comes at once where EL2 handles the trap.
    let switched = interval.usedPasses + (interval.isCut ? 1 : 0)
    let lazy: (low: CostVector, high: CostVector) =
      switch interval.use {
      case .clear: (.zero, .zero)
      case .set:
        (
          Self.lazy(switched),
          Self.lazy(switched + interval.unknownPasses)
        )
      case .unknown: (.zero, Self.lazy(switched + interval.unknownPasses))
      }
    let mask: UInt64 = depth == 64 ? .max : (1 << UInt64(depth)) - 1
    if used & mask != 0 {
      last = (eager, eager)
    } else if unknown & mask != 0 {
      last = (.lower(eager, lazy.low), .upper(eager, lazy.high))
    } else {
      last = lazy
    }
    used = used << 1 | (interval.use == .set ? 1 : 0)
    unknown = unknown << 1 | (interval.use == .unknown ? 1 : 0)
  }

  /// The last interval was used after all, at its end. Returns what was known of it before.
  mutating func correctLast() -> Bit {
    guard used & 1 == 0, let last else { return .set }
    let before: Bit = unknown & 1 == 1 ? .unknown : .clear
    used |= 1
    unknown &= ~1
    if last.high == .zero { self.last = (Self.lazy(1), Self.lazy(1)) }
    return before
  }

  private mutating func settle() {
    sumLow = low
    sumHigh = high
    last = nil
  }

  private static func eager(_ passes: UInt64) -> CostVector { .save + .switchedPass * passes }
  private static func lazy(_ switched: UInt64) -> CostVector {
    .hypTrip + .save + .switchedPass * switched
  }
}
