/// Record types: include/uapi/linux/perf_event.h below 64, tools/lib/perf/include/perf/event.h above.
package enum RecordKind {
  package static let mmap: UInt32 = 1
  package static let lost: UInt32 = 2
  package static let comm: UInt32 = 3
  static let fork: UInt32 = 7
  static let throttle: UInt32 = 5
  package static let sample: UInt32 = 9
  static let mmap2: UInt32 = 10
  static let aux: UInt32 = 11
  package static let lostSamples: UInt32 = 13
  static let headerAttribute: UInt32 = 64
  static let headerEventType: UInt32 = 65
  package static let tracingData: UInt32 = 66
  static let buildID: UInt32 = 67
  package static let finishedRound: UInt32 = 68
  package static let idIndex: UInt32 = 69
  package static let auxTrace: UInt32 = 71
  static let auxTraceError: UInt32 = 72
  package static let eventUpdate: UInt32 = 78
  static let headerFeature: UInt32 = 80
  package static let compressed: UInt32 = 81
  package static let compressed2: UInt32 = 83
}

/// `struct perf_event_header`: u32 type, u16 misc, u16 size.
package enum RecordHeader {
  static let byteCount = 8
  /// Largest record: its size is a u16.
  static let largestRecord = 65535

  /// PERF_RECORD_MISC_CPUMODE_MASK, and the mode of the recorded kernel itself.
  static let cpuModeMask: UInt16 = 7
  static let cpuModeKernel: UInt16 = 1
  static let cpuModeUser: UInt16 = 2
  static let cpuModeHypervisor: UInt16 = 3
  static let cpuModeGuestKernel: UInt16 = 4
  static let cpuModeGuestUser: UInt16 = 5
  /// PERF_RECORD_MISC_MMAP_BUILD_ID.
  static let mmapBuildID: UInt16 = 1 << 14
  /// PERF_RECORD_MISC_BUILD_ID_SIZE.
  static let buildIDSize: UInt16 = 1 << 15
  /// PERF_RECORD_MISC_LOST_SAMPLES_BPF: dropped by a filter on purpose.
  package static let lostSamplesBPF: UInt16 = 1 << 15
}
