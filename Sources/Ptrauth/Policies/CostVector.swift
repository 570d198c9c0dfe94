/// What a policy costs, counted and not weighed: cycle costs are not known here.
public struct CostVector: Sendable, Hashable {
  /// MRS and MSR of key registers.
  public var mrs: UInt64
  public var msr: UInt64
  /// Memory accesses of 16 bytes for keys: LDP, STP, or two single ones.
  public var pairs: UInt64
  public var isb: UInt64
  /// Traps that EL2 handles itself: guest exit, fix-up, guest entry.
  public var hypTrips: UInt64
  /// Traps that reach the host: kvm_exit, handle_exit, kvm_entry.
  public var fullTrips: UInt64

  public init(
    mrs: UInt64 = 0, msr: UInt64 = 0, pairs: UInt64 = 0, isb: UInt64 = 0, hypTrips: UInt64 = 0,
    fullTrips: UInt64 = 0
  ) {
    self.mrs = mrs
    self.msr = msr
    self.pairs = pairs
    self.isb = isb
    self.hypTrips = hypTrips
    self.fullTrips = fullTrips
  }

  public static let zero = CostVector()

  /// Ten registers loaded from memory: 5 LDP, 10 MSR (the patch's __ptrauth_restore_state).
  public static let restore = CostVector(msr: 10, pairs: 5)
  /// Ten registers stored: 10 MRS, 5 STP (__ptrauth_save_state); the C code stores ten times 8 bytes.
  public static let save = CostVector(mrs: 10, pairs: 5)
  /// One pass with keys switched: guest restore; guest save, host restore, isb.
  public static let switchedPass = restore + save + restore + CostVector(isb: 1)
  /// The same for APIA alone.
  public static let switchedPassOfOneKey = CostVector(mrs: 2, msr: 4, pairs: 3, isb: 1)
  public static let hypTrip = CostVector(hypTrips: 1)
  public static let fullTrip = CostVector(fullTrips: 1)

  /// Its numbers, in the order of the columns.
  public static let components:
    [(name: String, value: any KeyPath<CostVector, UInt64> & Sendable)] = [
      ("mrs", \.mrs), ("msr", \.msr), ("pairs", \.pairs), ("isb", \.isb), ("hyp", \.hypTrips),
      ("full", \.fullTrips),
    ]

  public static func + (a: CostVector, b: CostVector) -> CostVector {
    CostVector(
      mrs: a.mrs + b.mrs, msr: a.msr + b.msr, pairs: a.pairs + b.pairs, isb: a.isb + b.isb,
      hypTrips: a.hypTrips + b.hypTrips, fullTrips: a.fullTrips + b.fullTrips)
  }
  public static func += (a: inout CostVector, b: CostVector) { a = a + b }
  public static func * (a: CostVector, count: UInt64) -> CostVector {
    CostVector(
      mrs: a.mrs * count, msr: a.msr * count, pairs: a.pairs * count, isb: a.isb * count,
      hypTrips: a.hypTrips * count, fullTrips: a.fullTrips * count)
  }
  /// The smaller, or larger, of each component.
  static func lower(_ a: CostVector, _ b: CostVector) -> CostVector {
    CostVector(
      mrs: min(a.mrs, b.mrs), msr: min(a.msr, b.msr), pairs: min(a.pairs, b.pairs),
      isb: min(a.isb, b.isb), hypTrips: min(a.hypTrips, b.hypTrips),
      fullTrips: min(a.fullTrips, b.fullTrips))
  }
  static func upper(_ a: CostVector, _ b: CostVector) -> CostVector {
    CostVector(
      mrs: max(a.mrs, b.mrs), msr: max(a.msr, b.msr), pairs: max(a.pairs, b.pairs),
      isb: max(a.isb, b.isb), hypTrips: max(a.hypTrips, b.hypTrips),
      fullTrips: max(a.fullTrips, b.fullTrips))
  }
}

/// What one unit of each component is worth to the user.
public struct CostWeights: Sendable, Hashable {
  public var mrs, msr, pairs, isb, hypTrips, fullTrips: Double

  public init(
    mrs: Double = 0, msr: Double = 0, pairs: Double = 0, isb: Double = 0, hypTrips: Double = 0,
    fullTrips: Double = 0
  ) {
    self.mrs = mrs
    self.msr = msr
    self.pairs = pairs
    self.isb = isb
    self.hypTrips = hypTrips
    self.fullTrips = fullTrips
  }

  /// Accesses to key registers, each 1.
  public static let accesses = CostWeights(mrs: 1, msr: 1)

  public func of(_ cost: CostVector) -> Double {
    mrs * Double(cost.mrs) + msr * Double(cost.msr) + pairs * Double(cost.pairs)
      + isb * Double(cost.isb) + hypTrips * Double(cost.hypTrips)
      + fullTrips * Double(cost.fullTrips)
  }
}
