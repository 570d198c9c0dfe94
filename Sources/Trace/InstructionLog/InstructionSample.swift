/// A branch that was taken, by run-time addresses. 0: not known, as where tracing begins or ends.
public struct TakenBranch: Sendable, Hashable {
  public var from: UInt64
  public var to: UInt64

  public init(from: UInt64, to: UInt64) {
    self.from = from
    self.to = to
  }
}

/// What one sample of a recording says about executed instructions.
public struct InstructionSample: Sendable {
  /// Nanoseconds in the recording's own clock; where the samples have no time, that of the sample before.
  public var time: UInt64
  /// -1 when the sample does not carry it.
  public var cpu: Int32
  public var tid: Int32
  /// ``InstructionSource/number`` of its event.
  public var source: Int
  public var mode: Mode
  /// The sampled address at run time; nil when the sample does not carry it.
  public var address: UInt64?
  public var content: Content

  package init(
    time: UInt64, cpu: Int32, tid: Int32, source: Int, mode: Mode, address: UInt64? = nil,
    content: Content
  ) {
    self.time = time
    self.cpu = cpu
    self.tid = tid
    self.source = source
    self.mode = mode
    self.address = address
    self.content = content
  }

  /// Whose the sampled address is (PERF_RECORD_MISC_CPUMODE_MASK).
  public enum Mode: Sendable {
    case kernel, user, guest, unknown
  }

  public enum Content: Sendable {
    /// One branch.
    case branch(TakenBranch)
    /// The instruction at ``InstructionSample/address``.
    case instruction
    /// The last branches before the sample, the oldest first.
    case stack([TakenBranch])
    /// Samples of this pCPU (-1: of any) were lost before this time.
    case lost
  }
}

/// An event of a recording whose samples say which instructions ran.
public struct InstructionSource: Sendable, Hashable {
  public enum Kind: Sendable, Hashable, BitwiseCopyable {
    /// A sample for a branch: where from, and where to.
    case branches
    /// A sample for an instruction.
    case instructions
    /// Samples with the branches before them.
    case stacks
  }

  public var number: Int
  /// As in ``RecordedEvent``.
  public var name: String
  public var kind: Kind
  /// By its own word each branch or instruction has a sample (period 1); of stacks: each branch between the
  /// first and the last entry has one.
  public var isEvery: Bool
  /// Operations that a CPU begins and may drop again are among them (the Statistical Profiling Extension).
  public var isSpeculative: Bool

  package init(
    number: Int, name: String, kind: Kind, isEvery: Bool, isSpeculative: Bool
  ) {
    self.number = number
    self.name = name
    self.kind = kind
    self.isEvery = isEvery
    self.isSpeculative = isSpeculative
  }
}
