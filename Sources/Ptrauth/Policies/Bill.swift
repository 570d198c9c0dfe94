/// What one vCPU's schedule costs under one policy: for each thing that is paid for, its price and how
/// often it was, or may have been, seen. The items of two bills of one schedule stand side by side, so
/// that what is not known cancels out when they are compared.
struct Bill {
  struct Item {
    /// The price, between these.
    var low, high: CostVector
    var count: UInt64
    /// At most this often; nil is without limit.
    var most: UInt64?
    /// Whether `low` or `high` applies is one question for all policies.
    var isShared = false
  }
  var items: [Item]

  init(_ policy: Policy, _ schedule: Schedule) {
    func item(_ price: CostVector, _ count: UInt64, _ most: UInt64?) -> Item {
      Item(low: price, high: price, count: count, most: most)
    }
    let s = schedule
    let inSwitch = policy.useEndingInSwitch ?? policy.use
    let extra: UInt64? = s.passesAreExact ? 0 : nil
    let quietLow = policy.quietPass
    let quietHigh = policy.remembers ? CostVector.switchedPass : policy.quietPass
    let usedPass = policy.remembers ? CostVector.switchedPass : policy.usedPass
    items = [
      item(policy.load, s.loads, s.loads),
      item(policy.load, 0, s.loadsAreLowerBounds ? nil : 0),
      item(policy.use, s.used - s.usedEndingInSwitch, s.used - s.usedEndingInSwitch),
      item(inSwitch, s.usedEndingInSwitch, s.usedEndingInSwitch),
      Item(
        low: .lower(policy.use, inSwitch), high: .upper(policy.use, inSwitch), count: 0,
        most: s.maybeUsed),
      item(policy.laterUse, 0, nil),
      // Where the recorded kernel's traps do not reach the host, one for each use.
      item(policy.trap, s.showsTraps ? s.trapped : s.used, s.showsTraps ? s.trapped : s.used),
      item(policy.trap, 0, s.maybeUsed),
      item(policy.quietPass, s.quietPasses, s.quietPasses),
      item(policy.usedPass, s.usedPasses, s.usedPasses),
      item(policy.cutPass, s.cutPasses, s.cutPasses),
      Item(
        low: policy.quietPass, high: policy.usedPass, count: s.unknownPasses, most: s.unknownPasses,
        isShared: true),
      Item(low: quietLow, high: quietHigh, count: 0, most: extra),
      item(usedPass, 0, extra),
      policy.remembers
        ? Item(low: s.memory.low, high: s.memory.high, count: 1, most: 1) : item(.zero, 1, 1),
    ]
  }

  /// One component, or anything linear, of the whole bill: least and most; the most may be infinite.
  func range(_ value: (CostVector) -> Double) -> ClosedRange<Double> {
    Self.sum(items) { item in [value(item.low), value(item.high)] }
  }

  /// How much more this costs than another policy on the same schedule.
  func excess(over other: Bill, _ value: (CostVector) -> Double) -> ClosedRange<Double> {
    var low = 0.0
    var high = 0.0
    for (mine, its) in zip(items, other.items) {
      let a = (value(mine.low), value(mine.high))
      let b = (value(its.low), value(its.high))
      let prices =
        mine.isShared
        ? [a.0 - b.0, a.1 - b.1] : [a.0 - b.0, a.0 - b.1, a.1 - b.0, a.1 - b.1]
      let range = Self.range(prices, mine)
      low += range.lowerBound
      high += range.upperBound
    }
    return low...high
  }

  private static func sum(
    _ items: [Item], _ prices: (Item) -> [Double]
  ) -> ClosedRange<Double> {
    var low = 0.0
    var high = 0.0
    for item in items {
      let range = range(prices(item), item)
      low += range.lowerBound
      high += range.upperBound
    }
    return low...high
  }

  private static func range(_ prices: [Double], _ item: Item) -> ClosedRange<Double> {
    let cheap = prices.min() ?? 0
    let dear = prices.max() ?? 0
    let count = Double(item.count)
    let most = item.most.map { Double($0) } ?? .infinity
    // Infinity times nothing is nothing here.
    let low = cheap < 0 ? cheap * most : cheap * count
    let high = dear > 0 ? dear * most : dear * count
    return low...high
  }
}
