/// What happened to one vCPU, counted.
public struct Counters: Sendable, Hashable {
  public var loads: UInt64 = 0
  public var puts: UInt64 = 0
  public var runs: UInt64 = 0
  /// Runs whose bits are known at both ends.
  public var knownRuns: UInt64 = 0
  /// Runs known to have been entered with a bit set.
  public var enabledRuns: UInt64 = 0
  /// Ptrauth traps that reached the host: EC 0x09, and EC 0x18 of a key register.
  public var instructionTraps: UInt64 = 0
  public var registerTraps: UInt64 = 0
  /// Traps handled at EL2 without a kvm_exit, seen as 0 -> 1 within a run.
  public var hiddenTraps: UInt64 = 0
  public var undefs: UInt64 = 0
  public var resets: UInt64 = 0
  /// Saves of the host's ten registers.
  public var hostSaves: UInt64 = 0
  /// Passes that switched keys. A lower bound: the entry loop re-enters without an event, and a
  /// run that ends with IRQ may not have entered. Exact where executed instructions were recorded.
  public var keySwitches: UInt64 = 0
  /// Time between kvm_entry and kvm_exit, in ns, of the runs that have both.
  public var guestTime: UInt64 = 0
  /// Of which events may be missing, or were not recorded, and which lean on what others imply.
  public var bounds = CounterBounds(lower: .keySwitches)

  public init() {}
}
