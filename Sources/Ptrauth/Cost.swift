/// What the key switch costs: accesses to key registers, and trips.
public struct Cost: Sendable, Hashable {
  /// MRS and MSR of key registers.
  public var reads, writes: UInt64
  /// Full exits to the host caused by ptrauth traps.
  public var trips: UInt64

  public init(reads: UInt64 = 0, writes: UInt64 = 0, trips: UInt64 = 0) {
    self.reads = reads
    self.writes = writes
    self.trips = trips
  }

  /// Register accesses of both kinds.
  public var accesses: UInt64 { reads + writes }

  /// One pass with keys switched: guest restore (10 MSR), guest save (10 MRS), host restore
  /// (10 MSR): the patch's three macros, counted.
  public static let switchedPass = Cost(reads: 10, writes: 20)
  /// __ptrauth_save_state of the host: 10 MRS.
  public static let hostSave = Cost(reads: 10)

  /// What a gap between two switched passes of one load interval pays for keys that nobody
  /// consumed: `keys` of the five are not needed by the host there.
  public static func redundantGap(keys: Int) -> Cost {
    let registers = UInt64(keys) * 2
    return Cost(reads: registers, writes: 2 * registers)
  }

  public static func * (cost: Cost, count: UInt64) -> Cost {
    Cost(reads: cost.reads * count, writes: cost.writes * count, trips: cost.trips * count)
  }
  public static func + (a: Cost, b: Cost) -> Cost {
    Cost(reads: a.reads + b.reads, writes: a.writes + b.writes, trips: a.trips + b.trips)
  }
}
