/// Recordings by kernel and label, and the lines that were none.
public struct Fleet: Sendable {
  public var grouping: Grouping
  public private(set) var groups: [Group: Tally] = [:]
  /// Lines that are no summary, by file and number.
  public var damaged = NameCounts()

  public init(by grouping: Grouping) { self.grouping = grouping }

  public mutating func add(_ tally: Tally, of group: Group) {
    groups[grouping.group(group), default: Tally()].merge(tally)
  }

  public mutating func merge(_ other: Self) {
    for (group, tally) in other.groups { add(tally, of: group) }
    damaged.merge(other.damaged)
  }

  /// In the order of kernels and labels.
  public var sorted: [(group: Group, tally: Tally)] {
    groups.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  public var total: Tally { groups.values.reduce(into: Tally()) { $0.merge($1) } }
}
