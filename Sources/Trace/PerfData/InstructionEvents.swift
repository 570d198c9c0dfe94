extension PerfAttribute {
  /// What the samples say about executed instructions; nil: nothing.
  ///
  /// What `perf inject --itrace` synthesises from CoreSight and SPE has the type of a hardware event, with the
  /// number of taken branches (period 1, and their targets as ADDR) or of instructions
  /// (tools/perf/util/cs-etm.c, arm-spe.c). Only SPE gives a DATA_SRC with it.
  package func instructionSource(_ number: Int, name: String) -> InstructionSource? {
    guard type != Self.tracepoint, type != Kind.breakpoint, type < Kind.synthesised, !isDummy,
      !(type == Kind.software && config > 1)
    else { return nil }
    func has(_ bit: UInt64) -> Bool { sampleType & bit != 0 }
    let isOne = samplePeriod == 1 && !isFrequency && type == Kind.hardware
    var source = InstructionSource(
      number: number, name: name, kind: .instructions, isEvery: false,
      isSpeculative: has(Sample.dataSource))
    if has(Sample.branchStack) {
      let kinds = branchSampleType & BranchStack.kinds
      let levels = branchSampleType & BranchStack.levels
      source.kind = .stacks
      source.isEvery =
        (kinds == 0 || kinds & BranchStack.any != 0) && kinds & BranchStack.callStack == 0
        && (levels == 0 || levels & BranchStack.kernel != 0)
    } else if type == Kind.hardware, config == Hardware.branches, has(Sample.ip), has(Sample.addr) {
      source.kind = .branches
      source.isEvery = isOne
    } else if has(Sample.ip) {
      source.isEvery = isOne && config == Hardware.instructions
    } else {
      return nil
    }
    return source
  }

  /// What perf calls an event of the hardware or of the kernel's software; nil for others.
  var eventName: String? {
    let names: [String]
    switch type {
    case Kind.hardware: names = Self.hardwareNames
    case Kind.software: names = Self.softwareNames
    default: return nil
    }
    guard config < UInt64(names.count) else { return nil }
    return names[Int(config)]
  }

  /// In the order of PERF_COUNT_HW_*.
  private static let hardwareNames = [
    "cycles", "instructions", "cache-references", "cache-misses", "branches", "branch-misses",
    "bus-cycles", "stalled-cycles-frontend", "stalled-cycles-backend", "ref-cycles",
  ]
  /// In the order of PERF_COUNT_SW_*.
  private static let softwareNames = [
    "cpu-clock", "task-clock", "page-faults", "context-switches", "cpu-migrations", "minor-faults",
    "major-faults", "alignment-faults", "emulation-faults", "dummy", "bpf-output",
    "cgroup-switches",
  ]

  /// PERF_TYPE_*.
  private enum Kind {
    static let hardware: UInt32 = 0
    static let software: UInt32 = 1
    static let breakpoint: UInt32 = 5
    /// PERF_TYPE_SYNTH (tools/perf/util/event.h): power events and PTWRITE.
    static let synthesised: UInt32 = 1 << 31
  }

  /// PERF_COUNT_HW_*.
  private enum Hardware {
    static let instructions: UInt64 = 1
    static let branches: UInt64 = 4
  }

  /// PERF_SAMPLE_*.
  private enum Sample {
    static let ip: UInt64 = 1 << 0
    static let addr: UInt64 = 1 << 3
    static let branchStack: UInt64 = 1 << 11
    static let dataSource: UInt64 = 1 << 15
  }
}
