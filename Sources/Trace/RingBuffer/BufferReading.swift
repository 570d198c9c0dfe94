import Bytes

/// The ring buffers of a recording with all that reading their events needs.
struct BufferReading {
  let plan: RecordPlan
  let set: StreamSet
  let times: EventTimes
  /// What the ring buffer counted as lost, by pCPU.
  let counted: [Int32: UInt64]
  /// The recording as opening it found it.
  var recording: Recording
  var formats: [EventFormat] = []
  /// The recorder wrote the formats of all that it recorded into the same file.
  var isContainer = false
  /// See ``InstanceChoice/owners``.
  var owners: [InstanceChoice.Key: Int] = [:]

  /// After so many events the pages that were read are given back.
  private static let stride = 1 << 19

  /// Delivers all events in time order. What cannot be read is said in the recording's warnings.
  func read(
    _ map: borrowing MappedFile, _ body: MergePass.Body
  ) throws(TraceError) -> PassResult {
    let file = map.bytes
    var pass = MergePass(plan, times, owners: owners)
    var streams = set.streams(file)
    var slots = try set.slots()
    while pass.advance(Self.stride, file, &streams, &slots, body) { map.giveBackPages() }
    var result = recording
    result.recordedEvents = pass.recordedEvents
    result.warnings += plan.complaints.sentences(result.recordedEvents)
    for stream in streams {
      guard let damage = stream.damage else { continue }
      if damage.isEnd { result.isIncomplete = true }
      result.warnings.append(damage.sentence(cpu: stream.cpu))
    }
    result.warnings += pass.doubts.warnings
    let isForeign = isContainer && pass.doubts.unknownEvents > 0
    if pass.doubts.areDamage || isForeign || streams.contains(where: \.isDamaged) {
      result.noteDamage()
    }
    return PassResult(
      recording: result, losses: pass.losses(counted), firstTimeByCPU: pass.span.firstByCPU,
      lastTimeByCPU: pass.span.lastByCPU)
  }
}

extension Recording {
  /// Names the clock, and its unit where that is not the nanosecond.
  mutating func take(_ clock: TraceClock, scale: TimeScale?, _ warnings: inout [String]) {
    if scale != nil {
      self.clock += " in ns"
    } else if let unit = clock.tickUnit {
      self.clock += " in \(unit)"
      clockIsInNanoseconds = false
      warnings.append(
        "the clock \(clock.name) counts \(unit), not nanoseconds: all times and durations are in "
          + "\(unit); record with `trace-cmd record -C mono` to have nanoseconds")
    }
  }

  /// The kernel's ring buffer has thread ids only.
  mutating func noteMissingProcesses(
    _ plan: RecordPlan, what format: String, _ warnings: inout [String]
  ) {
    guard plan.recorded.contains(where: { $0.fields.contains("host_apiakeylo_el1") }),
      !plan.recorded.contains(where: { $0.name == "sched_switch" })
    else { return }
    warnings.append(
      "\(format) does not say which process a thread belongs to, and without task switches the keys in "
        + "the host slots do not either: a host save that is missing only between two processes is not "
        + "seen; record sched:sched_switch too")
  }
}
