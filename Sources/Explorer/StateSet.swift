/// The states found, in the order they were found, each with the one it was reached from. A hash
/// table of indices, linear probing, at most half full.
package struct StateSet {
  private(set) var states: [UInt128] = []
  private(set) var parents: [UInt32] = []
  private var table: [UInt32]
  private var mask: Int

  package init() {
    table = Array(repeating: 0, count: 1 << 12)
    mask = table.count - 1
  }

  var count: Int { states.count }

  /// Adds a state unless it is there. Returns whether it was new.
  mutating func insert(_ state: UInt128, from parent: UInt32) -> Bool {
    var slot = Self.hash(state) & mask
    while true {
      let entry = table[slot]
      if entry == 0 { break }
      if states[Int(entry) - 1] == state { return false }
      slot = (slot + 1) & mask
    }
    states.append(state)
    parents.append(parent)
    table[slot] = UInt32(states.count)
    if states.count * 2 > table.count { grow() }
    return true
  }

  package func contains(_ state: UInt128) -> Bool {
    var slot = Self.hash(state) & mask
    while table[slot] != 0 {
      if states[Int(table[slot]) - 1] == state { return true }
      slot = (slot + 1) & mask
    }
    return false
  }

  private mutating func grow() {
    table = Array(repeating: 0, count: table.count * 2)
    mask = table.count - 1
    for (i, state) in states.enumerated() {
      var slot = Self.hash(state) & mask
      while table[slot] != 0 { slot = (slot + 1) & mask }
      table[slot] = UInt32(i + 1)
    }
  }

  /// Both halves, mixed by the finaliser of splitmix64.
  private static func hash(_ state: UInt128) -> Int {
    var x =
      UInt64(truncatingIfNeeded: state)
      ^ (UInt64(truncatingIfNeeded: state >> 64) &* 0x9e37_79b9_7f4a_7c15)
    x = (x ^ x >> 30) &* 0xbf58_476d_1ce4_e5b9
    x = (x ^ x >> 27) &* 0x94d0_49bb_1331_11eb
    return Int(truncatingIfNeeded: (x ^ x >> 31) & 0x7fff_ffff_ffff_ffff)
  }
}
