/// The recorded schedule under every policy: what each costs, and which is certainly cheaper.
public struct PolicyComparison: Sendable {
  public struct Row: Sendable {
    public var policy: Policy
    /// Each component's least and most; nil is without limit.
    public var low: CostVector
    public var high: [UInt64?]
    /// By the weights; `weightedHigh` may be infinite.
    public var weightedLow, weightedHigh: Double
    /// 1 is the cheapest: the best and the worst place it can have among the candidates. Nil for those
    /// that are no candidates, and those that are not correct on this kernel.
    public var rank: ClosedRange<Int>?
    /// This is how the recorded kernel switches.
    public var isOwn: Bool
    /// Nil if it is not known.
    public var isLegal: Bool?
  }
  public var rows: [Row]

  /// One vCPU; `mayLackFeature`: the recording does not show whether it has ptrauth. Without it
  /// nothing is ever switched for it.
  public struct VCPU: Sendable {
    public var schedule: Schedule
    public var mayLackFeature: Bool
    public init(schedule: Schedule, mayLackFeature: Bool) {
      self.schedule = schedule
      self.mayLackFeature = mayLackFeature
    }
  }

  public init(
    _ vcpus: [VCPU], generation: Generation?, kernelUsesPointerAuth: Bool?, hysteresis: Int,
    weights: CostWeights
  ) {
    let policies = Policy.all(hysteresis: hysteresis, kernelUsesPointerAuth: kernelUsesPointerAuth)
    let bills = policies.map { policy in vcpus.map { Bill(policy, $0.schedule) } }

    /// The sum over the vCPUs; one that may lack the feature may as well cost nothing.
    func sum(_ range: (Int) -> ClosedRange<Double>) -> ClosedRange<Double> {
      var low = 0.0
      var high = 0.0
      for (i, vcpu) in vcpus.enumerated() {
        let own = range(i)
        low += vcpu.mayLackFeature ? min(0, own.lowerBound) : own.lowerBound
        high += vcpu.mayLackFeature ? max(0, own.upperBound) : own.upperBound
      }
      return low...high
    }

    let ranked = policies.indices.filter {
      policies[$0].isCandidate
        && policies[$0].isLegal(kernelUsesPointerAuth: kernelUsesPointerAuth) != false
    }
    rows = policies.indices.map { p in
      let ranges = CostVector.components.map { component in
        sum { bills[p][$0].range { Double($0[keyPath: component.value]) } }
      }
      func low(_ i: Int) -> UInt64 { UInt64(ranges[i].lowerBound) }
      let weighted = sum { bills[p][$0].range(weights.of) }
      var rank: ClosedRange<Int>?
      if ranked.contains(p) {
        let others = ranked.filter { $0 != p }.map { q in
          sum { bills[p][$0].excess(over: bills[q][$0], weights.of) }
        }
        let certainlyBehind = others.count { $0.lowerBound > 0 }
        let maybeBehind = others.count { $0.upperBound > 0 }
        rank = (1 + certainlyBehind)...(1 + maybeBehind)
      }
      return Row(
        policy: policies[p],
        low: CostVector(
          mrs: low(0), msr: low(1), pairs: low(2), isb: low(3), hypTrips: low(4), fullTrips: low(5)),
        high: ranges.map { $0.upperBound.isFinite ? UInt64($0.upperBound) : nil },
        weightedLow: weighted.lowerBound, weightedHigh: weighted.upperBound, rank: rank,
        isOwn: generation.map { policies[p].generations.contains($0.id) } ?? false,
        isLegal: policies[p].isLegal(kernelUsesPointerAuth: kernelUsesPointerAuth))
    }
  }
}
