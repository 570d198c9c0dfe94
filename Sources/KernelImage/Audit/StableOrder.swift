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
  package var inOrder: [WalkEnd] {
    let keyed = map { (key: $0.state.events.map(\.pc) + [$0.state.pc], end: $0) }
      .sorted { $0.key.lexicographicallyPrecedes($1.key) }
    var ordered: [WalkEnd] = []
    var spelling = Spelling()
    var start = 0
    while start < keyed.count {
      let same = keyed[start...].prefix { $0.key == keyed[start].key }.map(\.end)
      start += same.count
      ordered +=
        same.count == 1
        ? same
        : same.map { (words: spelling.words(of: $0), end: $0) }.sorted { $0.words < $1.words }
          .map(\.end)
    }
    return ordered
  }

  /// Ends in words. Making them costs more than all the rest, and the ways to one place share most conditions.
  private struct Spelling {
    private var known: [WalkCondition: String] = [:]

    mutating func words(of end: WalkEnd) -> String {
      var words: [String] = []
      for condition in end.state.conditions { words.append(word(condition)) }
      return "\(end.kind)" + words.sorted().joined()
    }

    private mutating func word(_ condition: WalkCondition) -> String {
      if let word = known[condition] { return word }
      let word = "\(condition)"
      known[condition] = word
      return word
    }
  }
}
