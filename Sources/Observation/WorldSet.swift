/// A set of worlds, a bit each.
package struct WorldSet: Hashable, Sequence {
  private var words = InlineArray<8, UInt64>(repeating: 0)

  init() {}
  package init(_ worlds: some Sequence<VCPUWorld>) { for world in worlds { insert(world) } }

  mutating func insert(_ world: VCPUWorld) {
    words[world.code / 64] |= 1 << UInt64(world.code % 64)
  }

  func contains(_ world: VCPUWorld) -> Bool {
    words[world.code / 64] >> UInt64(world.code % 64) & 1 != 0
  }

  mutating func formUnion(_ other: WorldSet) {
    for i in words.indices { words[i] |= other.words[i] }
  }

  func intersection(_ other: WorldSet) -> WorldSet {
    var both = self
    for i in words.indices { both.words[i] &= other.words[i] }
    return both
  }

  var isEmpty: Bool {
    for i in words.indices where words[i] != 0 { return false }
    return true
  }

  package static func == (a: WorldSet, b: WorldSet) -> Bool {
    for i in a.words.indices where a.words[i] != b.words[i] { return false }
    return true
  }

  package func hash(into hasher: inout Hasher) {
    for i in words.indices { hasher.combine(words[i]) }
  }

  package func makeIterator() -> Iterator { Iterator(words: words) }

  package struct Iterator: IteratorProtocol {
    fileprivate var words: InlineArray<8, UInt64>
    private var index = 0

    fileprivate init(words: InlineArray<8, UInt64>) { self.words = words }

    package mutating func next() -> VCPUWorld? {
      while index < 8 {
        let bit = words[index].trailingZeroBitCount
        guard bit < 64 else {
          index += 1
          continue
        }
        words[index] &= words[index] - 1
        return VCPUWorld(code: index * 64 + bit)
      }
      return nil
    }
  }
}
