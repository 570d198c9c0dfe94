/// A lane cut into equal slices of time, whose width doubles when the recording outgrows them: memory is
/// fixed, and every slice says how long the lane was in each state, to the nanosecond.
///
///     width 1   │a│b│c│d│       the next event lies beyond d:
///     width 2   │a+b│c+d│e  │   │
///
/// A run that covers many slices costs two: the whole slices between its ends are noted as a step up and
/// a step down, and summed when they are asked for.
package struct TimeBins {
  /// What a run or the time between a load and a put is, for the eye.
  package enum State: Int, CaseIterable {
    /// In the guest with both bits 0, both 1, different, or not known.
    case clear, set, differ, unknown
    /// Loaded: between kvm_arch_vcpu_load and kvm_arch_vcpu_put.
    case loaded
  }
  enum Count: Int, CaseIterable { case runs, loads, traps, switches, losses, findings }

  package struct Slice: Sendable {
    package var time = InlineArray<5, UInt64>(repeating: 0)
    package var count = InlineArray<6, UInt32>(repeating: 0)
    /// The other kind's number: the last pCPU of a vCPU's lane, the last vCPU lane of a pCPU's.
    var partner: Int32 = -1
    fileprivate var steps = InlineArray<5, Int32>(repeating: 0)
  }

  private(set) var slices: [Slice]

  init(count: Int) { slices = Array(repeating: Slice(), count: count + 1) }

  mutating func add(_ count: Count, at i: Int, _ amount: UInt32 = 1) {
    slices[i].count[count.rawValue] = slices[i].count[count.rawValue].addingSaturated(amount)
  }

  /// Adds `begin..<end` (ns since the first slice's begin) to a state.
  mutating func add(_ state: State, from begin: UInt64, to end: UInt64, shift: UInt64) {
    let s = state.rawValue
    let i = Int(begin >> shift)
    let j = Int(end >> shift)
    if i == j {
      slices[i].time[s] &+= end - begin
      return
    }
    slices[i].time[s] &+= (UInt64(i + 1) << shift) &- begin
    slices[j].time[s] &+= end &- (UInt64(j) << shift)
    slices[i + 1].steps[s] += 1
    slices[j].steps[s] -= 1
  }

  mutating func note(partner: Int32, at i: Int) { slices[i].partner = partner }

  /// Turns the steps into time.
  mutating func settle(shift: UInt64) {
    var depth = InlineArray<5, Int32>(repeating: 0)
    for i in slices.indices {
      for s in 0..<5 {
        depth[s] += slices[i].steps[s]
        slices[i].steps[s] = 0
        slices[i].time[s] &+= UInt64(max(0, depth[s])) << shift
      }
    }
  }

  /// Slices become twice as wide. `offset`: slice 0 was the second half of a wide one.
  mutating func double(offset: Bool, shift: UInt64) {
    settle(shift: shift)
    var wide = [Slice](repeating: Slice(), count: slices.count)
    for i in slices.indices {
      wide[(i + (offset ? 1 : 0)) / 2].take(slices[i])
    }
    slices = wide
  }

  /// The first slice becomes number `count`: earlier ones are needed.
  mutating func moveUp(by count: Int, shift: UInt64) {
    settle(shift: shift)
    slices = Array((Array(repeating: Slice(), count: count) + slices).prefix(slices.count))
  }

  /// Fewer slices: another lane needs room. The rest must be empty.
  mutating func shrink(to count: Int) { slices.removeLast(max(0, slices.count - count - 1)) }
}

extension TimeBins.Slice {
  mutating func take(_ other: Self) {
    for i in 0..<5 { time[i] &+= other.time[i] }
    for i in 0..<6 { count[i] = count[i].addingSaturated(other.count[i]) }
    if other.partner >= 0 { partner = other.partner }
  }
  package var isEmpty: Bool {
    for i in 0..<5 where time[i] != 0 { return false }
    for i in 0..<6 where count[i] != 0 { return false }
    return true
  }
}

extension UInt32 {
  func addingSaturated(_ other: UInt32) -> UInt32 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}
