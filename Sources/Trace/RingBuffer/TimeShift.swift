import Bytes

/// What leads a guest's clock to its host's, by guest CPU: TIME_SHIFT
/// (Documentation/trace-cmd/trace-cmd.dat.v7.5.txt). The arithmetic is that of `trace-cmd report`
/// (lib/trace-cmd/trace-input.c, timestamp_host_sync()), to the nanosecond.
struct TimeShift {
  /// One measurement: what has to be added at a time of the guest's clock.
  struct Sample {
    var time: UInt64
    var offset: Int64 = 0
    /// The guest's clock is multiplied with `scaling` / 2^`fraction` first.
    var scaling: UInt64 = 1
    var fraction: UInt64 = 0
  }

  /// ``Recording/traceID`` of the host's recording.
  let hostTraceID: UInt64
  private let interpolates: Bool
  private var samples: [[Sample]] = []

  /// u64 id of the host's recording, u32 flags, u32 count of CPUs; for each u32 count and as many u64 times,
  /// offsets, scalings; then, since trace-cmd 3.0, for each as many u64 fractions.
  init(_ cursor: inout ByteCursor) throws(ByteCursor.Truncation) {
    hostTraceID = try cursor.u64()
    // TRACECMD_TSYNC_FLAG_INTERPOLATE. What follows may be missing: then nothing is corrected.
    let flags = try? cursor.u32()
    interpolates = (flags ?? 0) & 1 != 0
    do throws(ByteCursor.Truncation) {
      let cpus = try cursor.u32()
      for _ in 0..<min(cpus, TimeSpans.cpuLimit) { samples.append(try Self.samples(&cursor)) }
      for cpu in samples.indices {
        for index in samples[cpu].indices { samples[cpu][index].fraction = try cursor.u64() }
      }
    } catch {}
    for cpu in samples.indices { samples[cpu] = Self.inOrder(samples[cpu]) }
  }

  private static func samples(
    _ cursor: inout ByteCursor
  ) throws(ByteCursor.Truncation) -> [Sample] {
    var samples: [Sample] = []
    for _ in 0..<(try cursor.u32()) { samples.append(Sample(time: try cursor.u64())) }
    for index in samples.indices { samples[index].offset = Int64(bitPattern: try cursor.u64()) }
    for index in samples.indices { samples[index].scaling = try cursor.u64() }
    return samples
  }

  /// By time, of the same time the first.
  private static func inOrder(_ samples: [Sample]) -> [Sample] {
    var kept: [Sample] = []
    for (_, sample) in samples.enumerated().sorted(by: { ($0.1.time, $0.0) < ($1.1.time, $1.0) }) {
      if kept.last?.time != sample.time { kept.append(sample) }
    }
    return kept
  }

  /// There is a correction for a CPU.
  var isKnown: Bool { samples.contains { !$0.isEmpty } }

  /// The host's time. Times before the first measurement and after the last go on as between the two next to
  /// them; a single measurement is an offset.
  func time(_ ticks: UInt64, cpu: UInt32) -> UInt64 {
    guard cpu < UInt32(samples.count), let first = samples[Int(cpu)].first else { return ticks }
    let samples = samples[Int(cpu)]
    if samples.count == 1 { return ticks &+ UInt64(bitPattern: first.offset) }
    var low = 0
    var high = samples.count - 1
    // The last one that is not later, of all but the last.
    while low + 1 < high {
      let middle = (low + high) / 2
      if samples[middle].time <= ticks { low = middle } else { high = middle }
    }
    return corrected(ticks, samples[low], samples[low + 1])
  }

  private func corrected(_ ticks: UInt64, _ low: Sample, _ high: Sample) -> UInt64 {
    var offset = low.offset
    if interpolates {
      let delta = Int64(bitPattern: high.time &- low.time)
      let product = Int64(bitPattern: ticks &- low.time) &* (high.offset &- low.offset)
      if delta > 0 { offset = low.offset &+ (product &+ delta / 2) / delta }
    }
    let scaled = (ticks &* low.scaling) >> min(low.fraction, 63)
    return scaled &+ UInt64(bitPattern: offset)
  }
}
