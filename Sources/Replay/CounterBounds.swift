/// Which of the ``Counters`` may be more, or less, than they say.
public struct CounterBounds: Sendable, Hashable {
  /// There may have been more.
  public var lower: CounterSet
  /// There may have been fewer.
  public var upper: CounterSet

  public init(lower: CounterSet = [], upper: CounterSet = []) {
    self.lower = lower
    self.upper = upper
  }

  public mutating func formUnion(_ other: CounterBounds) {
    lower.formUnion(other.lower)
    upper.formUnion(other.upper)
  }
}

/// Some of the counters of a vCPU, by the names that documents have for them.
public struct CounterSet: OptionSet, Sendable, Hashable {
  public let rawValue: UInt16
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  public static let loads = CounterSet(rawValue: 1 << 0)
  public static let puts = CounterSet(rawValue: 1 << 1)
  public static let enabledRuns = CounterSet(rawValue: 1 << 2)
  public static let keyRegister = CounterSet(rawValue: 1 << 3)
  public static let hidden = CounterSet(rawValue: 1 << 4)
  public static let undefs = CounterSet(rawValue: 1 << 5)
  public static let resets = CounterSet(rawValue: 1 << 6)
  public static let hostSaves = CounterSet(rawValue: 1 << 7)
  public static let keySwitches = CounterSet(rawValue: 1 << 8)

  private static let named: [(name: String, member: CounterSet)] = [
    ("keySwitches", .keySwitches), ("loads", .loads), ("puts", .puts),
    ("enabledRuns", .enabledRuns), ("keyRegister", .keyRegister), ("hidden", .hidden),
    ("hostSaves", .hostSaves), ("resets", .resets), ("undefs", .undefs),
  ]

  public var names: [String] { Self.named.filter { contains($0.member) }.map(\.name) }

  /// What is no counter's name is left out: a later program may have more.
  public init(names: [String]) {
    self = Self.named.filter { names.contains($0.name) }.reduce(into: []) {
      $0.formUnion($1.member)
    }
  }
}
