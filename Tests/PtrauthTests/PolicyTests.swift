import Ptrauth
import Testing

/// Policies as tables of prices, against policies played out pass by pass.
struct PolicyTests {
  /// A load interval as it happened: its passes, and which of them first used ptrauth.
  struct Interval {
    var passes: Int
    var firstUse: Int?
    var isSeen = true
  }

  /// What a policy pays, told step by step as its kernel would do it.
  private func play(_ id: String, _ intervals: [Interval], memory: Int = 2) -> CostVector {
    var cost = CostVector.zero
    func save() {
      cost.mrs += 10
      cost.pairs += 5
    }
    func restore() {
      cost.msr += 10
      cost.pairs += 5
    }
    func pass() {
      restore()
      save()
      restore()
      cost.isb += 1
    }
    var history: [Bool] = []
    for interval in intervals {
      var isOn = false
      switch id {
      case "eager-load":
        save()
        isOn = true
      case "lazy-load": save()
      case "at-put":
        save()
        restore()
      case "lazy-keep-\(memory)":
        isOn = history.suffix(memory).contains(true)
        if isOn { save() }
      case "split-apia":
        cost.mrs += 8
        cost.msr += 8
        cost.pairs += 8
      default: break
      }
      for number in 0..<interval.passes {
        let isFirstUse = number == interval.firstUse
        switch id {
        case "eager-entry":
          save()
          restore()
          save()
          restore()
          continue
        case "at-put": continue
        case "split-apia":
          cost.mrs += 2
          cost.msr += 4
          cost.pairs += 3
          cost.isb += 1
          continue
        case "at-put-lazy":
          if isFirstUse {
            cost.hypTrips += 1
            save()
            restore()
          }
          continue
        default: break
        }
        if isFirstUse, !isOn {
          switch id {
          case "lazy-v7":
            cost.fullTrips += 1
            save()
          case "lazy-load": cost.fullTrips += 1
          case "lazy-hyp", "lazy-keep-\(memory)":
            cost.hypTrips += 1
            save()
          default: break
          }
          isOn = true
        }
        if isOn { pass() }
      }
      switch id {
      case "at-put":
        save()
        restore()
        cost.isb += 1
      case "at-put-lazy" where interval.firstUse != nil:
        save()
        restore()
        cost.isb += 1
      case "split-apia":
        cost.mrs += 8
        cost.msr += 8
        cost.pairs += 8
      default: break
      }
      history.append(interval.firstUse != nil)
    }
    return cost
  }

  /// The intervals as a recording shows them. `seen`: of each, how many passes have an event;
  /// `showsUse`: the recorded kernel's traps show the first use.
  private func observed(
    _ intervals: [Interval], hidden: (Int) -> Int, showsUse: Bool
  ) -> Schedule {
    var schedule = Schedule(hysteresis: 2)
    for interval in intervals {
      var seen = LoadObservation()
      let quiet = interval.firstUse ?? interval.passes
      if showsUse {
        seen.use = interval.firstUse == nil ? .clear : .set
        seen.quietPasses = UInt64(quiet - hidden(quiet))
        let used = interval.passes - quiet
        seen.usedPasses = UInt64(used - hidden(used))
      } else {
        seen.use = interval.passes == 0 ? .clear : .unknown
        seen.unknownPasses = UInt64(interval.passes - hidden(interval.passes))
      }
      schedule.add(seen)
    }
    return schedule
  }

  private func random(_ generator: inout SplitMix) -> [Interval] {
    (0..<Int.random(in: 1...12, using: &generator)).map { _ in
      let passes = Int.random(in: 0...6, using: &generator)
      let uses = passes > 0 && Bool.random(using: &generator)
      return Interval(
        passes: passes, firstUse: uses ? Int.random(in: 0..<passes, using: &generator) : nil)
    }
  }

  private let candidates = [
    "eager-entry", "eager-load", "lazy-v7", "lazy-load", "lazy-hyp", "lazy-keep-2", "at-put",
    "at-put-lazy", "split-apia",
  ]

  @Test func exactWhereEverythingIsSeen() {
    var generator = SplitMix(state: 1)
    for _ in 0..<300 {
      let intervals = random(&generator)
      var schedule = observed(intervals, hidden: { _ in 0 }, showsUse: true)
      schedule.passesAreExact = true
      let rows = compare(schedule).rows
      for row in rows where candidates.contains(row.policy.id) {
        let truth = play(row.policy.id, intervals)
        #expect(row.low == truth, "\(row.policy.id)")
        #expect(row.high == CostVector.components.map { truth[keyPath: $0.value] })
      }
    }
  }

  /// Whatever a recording hides, the truth lies in the interval, and a certain rank is true.
  @Test(arguments: [true, false])
  func intervalsHoldTheTruth(showsUse: Bool) {
    var generator = SplitMix(state: 2)
    var certain = 0
    for _ in 0..<300 {
      let intervals = random(&generator)
      let weights = CostWeights(
        mrs: Double.random(in: 0...3, using: &generator),
        msr: Double.random(in: 0...3, using: &generator),
        isb: Double.random(in: 0...20, using: &generator),
        hypTrips: Double.random(in: 0...300, using: &generator),
        fullTrips: Double.random(in: 0...900, using: &generator))
      let schedule = observed(
        intervals, hidden: { $0 == 0 ? 0 : Int.random(in: 0...$0, using: &generator) },
        showsUse: showsUse)
      let rows = compare(schedule, weights).rows.filter { candidates.contains($0.policy.id) }
      let truths = rows.map { play($0.policy.id, intervals) }
      for (row, truth) in zip(rows, truths) {
        for (component, high) in zip(CostVector.components, row.high) {
          let value = truth[keyPath: component.value]
          #expect(row.low[keyPath: component.value] <= value, "\(row.policy.id) \(component.name)")
          #expect(high.map { value <= $0 } ?? true, "\(row.policy.id) \(component.name)")
        }
        // Its true place, ties either way.
        let own = weights.of(truth)
        let cheaper = truths.count { weights.of($0) < own - 1e-9 }
        let atMost = truths.count { weights.of($0) <= own + 1e-9 }
        #expect(row.rank.map { $0.lowerBound <= atMost && cheaper < $0.upperBound } == true)
        if let rank = row.rank, rank.count < rows.count { certain += 1 }
      }
    }
    #expect(certain > 0, "some places are certain")
  }

  @Test func theOracleIsALowerBound() {
    var generator = SplitMix(state: 3)
    for _ in 0..<200 {
      let intervals = random(&generator)
      var schedule = observed(intervals, hidden: { _ in 0 }, showsUse: true)
      schedule.passesAreExact = true
      for usesPointerAuth in [true, false] {
        let rows = PolicyComparison(
          [.init(schedule: schedule, mayLackFeature: false)], generation: .g2,
          kernelUsesPointerAuth: usesPointerAuth, hysteresis: 2, weights: .accesses
        ).rows
        let bound = rows.first { $0.policy.id == "oracle" }
        for row in rows where row.rank != nil {
          #expect((bound?.weightedHigh ?? .infinity) <= row.weightedLow, "\(row.policy.id)")
        }
      }
    }
  }

  @Test func aVCPUThatMayLackTheFeatureMayCostNothing() {
    let schedule = observed(
      [Interval(passes: 3, firstUse: 1)], hidden: { _ in 0 }, showsUse: true)
    let rows = PolicyComparison(
      [.init(schedule: schedule, mayLackFeature: true)], generation: .g2,
      kernelUsesPointerAuth: false, hysteresis: 2, weights: .accesses
    ).rows
    #expect(rows.allSatisfy { $0.low == .zero })
  }

  @Test func whatTheKernelForbidsHasNoRank() {
    let schedule = observed([Interval(passes: 3, firstUse: 1)], hidden: { _ in 0 }, showsUse: true)
    let rows = PolicyComparison(
      [.init(schedule: schedule, mayLackFeature: false)], generation: .g5,
      kernelUsesPointerAuth: true, hysteresis: 2, weights: .accesses
    ).rows
    for row in rows where row.policy.id.hasPrefix("at-put") {
      #expect(row.rank == nil && row.isLegal == false)
    }
    #expect(rows.filter(\.isOwn).map(\.policy.id) == ["lazy-hyp"])
  }

  @Test func everyGenerationWithASwitchHasItsPolicy() {
    for generation in Generation.all where generation.hostSave != .never {
      #expect(
        Policy.all(hysteresis: 4, kernelUsesPointerAuth: nil)
          .count { $0.generations.contains(generation.id) } == 1, "\(generation.id)")
    }
  }

  @Test func aTrapKnownLateCountsForTheIntervalBefore() {
    var schedule = Schedule(hysteresis: 2)
    var seen = LoadObservation()
    seen.quietPasses = 2
    schedule.add(seen)
    schedule.lastIntervalTrapped(wasCounted: true)
    var told = LoadObservation()
    told.use = .set
    told.quietPasses = 1
    told.isCut = true
    told.traps = 1
    var same = Schedule(hysteresis: 2)
    same.add(told)
    #expect(schedule.passes == same.passes && schedule.used == same.used)
    #expect(schedule.trapped == 1 && same.trapped == 1)
    #expect(schedule.traps == same.traps && schedule.memory.high == same.memory.high)
    #expect(schedule.memory.low == same.memory.low)
  }

  /// A kernel with a fault traps again and again in one interval; a policy would once.
  @Test func anIntervalTrapsOnce() {
    var schedule = Schedule(hysteresis: 2)
    schedule.showsTraps = true
    var seen = LoadObservation()
    seen.use = .set
    seen.traps = 13
    schedule.add(seen)
    #expect(schedule.traps == 13 && schedule.trapped == 1)
    let lazy = compare(schedule).rows.first { $0.policy.id == "lazy-v7" }
    #expect(lazy?.low.fullTrips == 1)
  }

  private func compare(
    _ schedule: Schedule, _ weights: CostWeights = .accesses
  ) -> PolicyComparison {
    PolicyComparison(
      [.init(schedule: schedule, mayLackFeature: false)], generation: .g5,
      kernelUsesPointerAuth: false, hysteresis: 2, weights: weights)
  }
}

/// The same numbers in every run.
private struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
