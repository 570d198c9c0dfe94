public import Ptrauth
public import Replay

/// The recorded schedule under the other policies, for the reports.
public struct WhatIf: Sendable {
  public var document: Document
  public var weights: CostWeights
  public var comparison: PolicyComparison
  /// vCPUs with ptrauth, and those that may have it.
  public var vcpus: [Analysis.VCPU]
  /// Ptrauth traps of vCPUs without it: a full trip and an UNDEF each, under any policy.
  public var trapsWithoutFeature: UInt64

  public init(_ document: Document, hysteresis: Int, weights: CostWeights) {
    self.document = document
    self.weights = weights
    let analysis = document.analysis
    func isWithout(_ vcpu: Analysis.VCPU) -> Bool {
      vcpu.feature == .none || vcpu.feature == .partial
        || (vcpu.feature == .unknown && vcpu.answersWithUndef)
    }
    vcpus = analysis.vcpus.filter { !isWithout($0) && $0.schedule.loads > 0 }
    trapsWithoutFeature = analysis.vcpus.filter(isWithout).reduce(0) {
      $0 + $1.counters.instructionTraps + $1.counters.registerTraps
    }
    comparison = PolicyComparison(
      vcpus.map {
        PolicyComparison.VCPU(schedule: $0.schedule, mayLackFeature: $0.feature == .unknown)
      }, generation: document.kernel.generation,
      kernelUsesPointerAuth: document.kernel.usesPointerAuth, hysteresis: hysteresis,
      weights: weights)
  }

  func total(_ count: (Schedule) -> UInt64) -> UInt64 {
    vcpus.reduce(0) { $0 + count($1.schedule) }
  }

  /// Why a row is not ranked, or may not be correct.
  func remark(_ row: PolicyComparison.Row) -> String? {
    switch (row.policy.needs, row.isLegal) {
    case (.hostWithoutPointerAuth, false?):
      "not correct on this kernel, whose own code uses APIA while a vCPU is loaded"
    case (.hostWithoutPointerAuth, nil):
      "correct only if the kernel's own code does not use pointer authentication"
    default: row.isOwn ? "the recorded kernel's own" : nil
    }
  }

  /// "mrs=1, msr=1": the weights that count.
  var weightWords: String {
    [
      ("mrs", weights.mrs), ("msr", weights.msr), ("pairs", weights.pairs), ("isb", weights.isb),
      ("hyp", weights.hypTrips), ("full", weights.fullTrips),
    ].filter { $0.1 != 0 }.map { "\($0.0)=\(decimal($0.1))" }.joined(separator: ", ")
  }
}

/// Without a fraction where there is none.
func decimal(_ value: Double) -> String {
  guard value.isFinite, abs(value) < 1e15, value == value.rounded() else { return "\(value)" }
  return String(Int64(value))
}
