// Orders that are the same in every process.

extension Sequence where Element: Hashable {
  /// Each element once, where it came first: a set's own order is another in each process.
  var distinct: [Element] {
    var known: Set<Element> = []
    return filter { known.insert($0).inserted }
  }
}

extension [WalkEnd] {
  /// By what happened, and what is equal in that as it was walked: the same in every run.
  var inOrder: [WalkEnd] {
    map { end -> (key: [UInt64], words: String, end: WalkEnd) in
      let conditions = end.state.conditions.map { "\($0)" }.sorted().joined()
      return (end.state.events.map(\.pc) + [end.state.pc], "\(end.kind)" + conditions, end)
    }
    .sorted {
      $0.key == $1.key ? $0.words < $1.words : $0.key.lexicographicallyPrecedes($1.key)
    }
    .map(\.end)
  }
}
