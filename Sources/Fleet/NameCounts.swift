import Regression
import Replay

/// How often names came. Only the first few by their bytes are kept, with all their occurrences: what is not among the
/// first of a part is not among the first of the whole, so any order and grouping of sums gives the same.
public struct NameCounts: Sendable, Hashable {
  public static let limit = 8
  /// Of all names, those that were dropped too.
  public private(set) var total: UInt64 = 0
  public private(set) var named: [Spelling: UInt64] = [:]

  public init() {}

  public init(_ name: String?) {
    if let name { add(name, 1) }
  }

  public var isEmpty: Bool { total == 0 }

  /// In the order of their bytes.
  public var sorted: [(name: String, count: UInt64)] {
    named.sorted { $0.key < $1.key }.map { ($0.key.text, $0.value) }
  }

  /// Of names that are not kept.
  public var others: UInt64 {
    let kept = named.values.reduce(0, Counters.sum)
    return total > kept ? total - kept : 0
  }

  public mutating func add(_ name: String, _ count: UInt64) {
    var one = NameCounts()
    one.total = count
    one.named[Spelling(name)] = count
    merge(one)
  }

  /// Occurrences of names that are not kept.
  public mutating func addOthers(_ count: UInt64) { total = Counters.sum(total, count) }

  public mutating func merge(_ other: Self) {
    total = Counters.sum(total, other.total)
    for (name, count) in other.named {
      named[name] = Counters.sum(named[name] ?? 0, count)
    }
    while named.count > Self.limit, let last = named.keys.max() { named[last] = nil }
  }
}
