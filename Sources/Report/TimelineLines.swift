import Ptrauth
public import Replay

/// `--format jsonl`: the timeline, one JSON object a line, in the order things became known (a run is
/// said once its exit was handled). `time`, `enter` and `exit` are nanoseconds of the recording's clock;
/// `vcpu` is the struct kvm_vcpu pointer, null where it was never shown; `tid` is always there.
///
///     timeline the first line: schema ("ptrauth-trace/lines/2") and toolVersion; filtered: the options
///              that chose a part, if any did
///     run      vcpu, vcpuId, tid, cpu, enter, exit (null: never seen), ret ("TRAP", "IRQ" ...), ec,
///              api and apk: [at the first pass's entry, at the last pass's exit], 0, 1 or null;
///              basis: [at entry, at exit], "observed", "implied" or "unknown"
///     load,    vcpu, vcpuId, tid, cpu, time, implied: no probe recorded it, sched_switch or
///     put      kvm_userspace_exit prove it (time is then that of the event that does)
///     trap     vcpu, vcpuId, tid, cpu, time, ec, register and write (null for EC 0x09),
///              answer: "enabled", "undef", "none" (the retry entered as disabled, and other traps' UNDEFs were
///              seen) or null
///     loss     cpu, time, tid, since (the last event before it), count
///     finding  rule, level, severity, vcpu, vcpuId, tid, cpu, time
///     verdict  the last line: see SummaryLines
public struct TimelineLines: TimelineWriter {
  private var json = JSONWriter(pretty: false)
  private let filter: String?

  /// - Parameter filter: the options that chose what comes; nil: everything does.
  public init(filter: String? = nil) { self.filter = filter }

  public mutating func begin() -> [UInt8] {
    json.clear()
    json.object { json in
      json.field("type", "timeline")
      json.begin(.lines)
      if let filter { json.field("filtered", filter) }
    }
    json.newline()
    return json.bytes
  }

  /// The line of an entry, with its newline. Valid until the next call.
  public mutating func add(_ entry: TimelineEntry) -> [UInt8] {
    json.clear()
    json.object { json in
      switch entry {
      case .run(let run): Self.run(run, &json)
      case .load(let identity, let at, let isImplied):
        json.field("type", "load")
        Self.place(identity, at, &json)
        json.field("implied", isImplied)
      case .put(let identity, let at, let isImplied):
        json.field("type", "put")
        Self.place(identity, at, &json)
        json.field("implied", isImplied)
      case .trap(let identity, let at, let trap, let answer):
        json.field("type", "trap")
        Self.place(identity, at, &json)
        switch trap {
        case .instruction:
          json.field("ec", 9)
          json.field("register", nil as String?)
          json.field("write", nil as Bool?)
        case .register(let access):
          json.field("ec", 0x18)
          json.field("register", access.register.name)
          json.field("write", access.isWrite)
        }
        json.field("answer", answer.word)
      case .loss(let at, let since, let count):
        json.field("type", "loss")
        json.field("tid", at.tid)
        json.field("cpu", at.cpu)
        json.field("time", at.time)
        json.field("since", since)
        json.field("count", count)
      case .finding(let rule, let level, let identity, let at):
        json.field("type", "finding")
        json.field("rule", rule.id)
        json.field("level", level.word)
        json.field("severity", rule.severity.name)
        Self.place(identity, at, &json)
      }
    }
    json.newline()
    return json.bytes
  }

  private static func place(_ identity: VCPUIdentity?, _ at: Moment, _ json: inout JSONWriter) {
    json.field("vcpu", pointer: identity?.pointer)
    json.field("vcpuId", identity?.number)
    json.field("tid", at.tid)
    json.field("cpu", at.cpu)
    json.field("time", at.time)
  }

  private static func run(_ run: Run, _ json: inout JSONWriter) {
    json.field("type", "run")
    JSONReport.identity(run.vcpu, &json)
    json.field("tid", run.tid)
    json.field("cpu", run.cpu)
    json.field("enter", run.enter)
    json.field("exit", run.exit)
    json.field("ret", run.ret.map(exceptionName))
    json.field("ec", run.ec)
    bits("api", run.atEntry.bits.api, run.atExit.bits.api, &json)
    bits("apk", run.atEntry.bits.apk, run.atExit.bits.apk, &json)
    json.key("basis")
    json.array { json in
      json.value(run.atEntry.basis.word)
      json.value(run.atExit.basis.word)
    }
  }

  private static func bits(
    _ name: String, _ atEntry: Bit, _ atExit: Bit, _ json: inout JSONWriter
  ) {
    json.key(name)
    json.array { json in
      json.value(atEntry.value)
      json.value(atExit.value)
    }
  }
}
