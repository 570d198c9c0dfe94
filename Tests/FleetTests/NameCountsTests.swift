import Fleet
import Testing

/// What is kept of many names is the same in whatever order and grouping they come.
struct NameCountsTests {
  @Test func anyOrderAndGroupingKeepsTheSame() {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<200 {
      let names = (0..<Int.random(in: 0..<60, using: &random)).map { _ in
        // Composed and decomposed, equal to String.
        (["é", "e\u{301}", "b", "a"].randomElement(using: &random) ?? "")
          + String(Int.random(in: 0..<12, using: &random))
      }
      var whole = NameCounts()
      for name in names { whole.add(name, 1) }
      var parts = names.map { NameCounts($0) }
      while parts.count > 1 {
        parts.shuffle(using: &random)
        let last = parts.removeLast()
        parts[parts.count - 1].merge(last)
      }
      #expect((parts.first ?? NameCounts()) == whole)
      let sorted = Set(names.map { Spelling($0) }).sorted().prefix(NameCounts.limit)
      #expect(whole.sorted.map { Spelling($0.name) } == Array(sorted))
      for (name, count) in whole.sorted {
        #expect(count == UInt64(names.count { Spelling($0) == Spelling(name) }))
      }
      #expect(whole.total == UInt64(names.count))
      #expect(whole.others + whole.sorted.reduce(0) { $0 + $1.count } == whole.total)
    }
  }

  @Test func countsSaturate() {
    var counts = NameCounts()
    counts.add("a", .max)
    counts.add("a", 3)
    counts.addOthers(.max)
    #expect(counts.total == .max && counts.others == 0)
  }
}
