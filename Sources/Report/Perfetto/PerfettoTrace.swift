import Ptrauth
public import Replay

/// `--format perfetto`: the timeline in the Trace Event Format ("Trace Event Format", chromium.org), which
/// ui.perfetto.dev and chrome://tracing open. Written while the recording is replayed; memory is
/// bounded by ``EventOrder``.
///
///     process 1, one thread per vCPU     X  "loaded on pCPU 2"; within it X "API=1 APK=1" for every run
///                                           (args: pCPU, ret, ec, how the bits are known)
///                                        i  "trap EC 0x09", findings by their rule
///                                        C  API and APK: 0, 1, -1 for not known
///     process 2, one thread per pCPU     X  "vCPU 0 loaded"; within it X "keys of vCPU 0" while the
///                                           guest's keys are live, "keys not known"
///                                        i  lost events
///                                        C  runs that were entered with bits set, so far
///     M                                     names, at the end: a vCPU's may be learnt late
///
/// `ts` and `dur` are microseconds of the recording's clock with nanoseconds as decimals. Events come
/// sorted by `ts`, a slice before what it contains.
public struct PerfettoTrace: TimelineWriter {
  var order = EventOrder()
  var numbers = LaneNumbers()
  var vcpus: [Track] = []
  var cpus: [Int32: Track] = [:]
  var json = JSONWriter(pretty: false)
  var isFirst = true
  private var lastTime: UInt64 = 0

  static let vcpuProcess = 1
  static let cpuProcess = 2

  /// What is remembered of a track between events.
  struct Track {
    var load: (at: UInt64, other: Int32, isImplied: Bool)?
    var lastEnd: UInt64 = 0
    var lastLoadEnd: UInt64 = 0
    var bits: EnableBits?
    var switches: UInt64 = 0
    var tid: Int32 = 0
    var pid: Int32 = -1
  }

  private let filter: String?

  /// - Parameter filter: the options that chose what comes; nil: everything does.
  public init(filter: String? = nil) { self.filter = filter }

  public mutating func begin() -> [UInt8] {
    var data = JSONWriter(pretty: false)
    data.object { json in
      json.field("format", "ptrauth-trace/perfetto/1")
      json.field("toolVersion", ToolVersion.number)
      if let filter { json.field("filtered", filter) }
    }
    return Array(#"{"displayTimeUnit":"ns","otherData":"#.utf8) + data.bytes
      + Array(#","traceEvents":["#.utf8)
  }

  /// What can be written once `entry` is known.
  public mutating func add(_ entry: TimelineEntry) -> [UInt8] {
    switch entry {
    case .run(let run): self.run(run)
    case .load(let identity, let at, let isImplied):
      let lane = lane(identity, at.tid)
      note(at.time)
      closeLoad(lane, at: nil)
      vcpus[lane].load = (max(at.time, vcpus[lane].lastLoadEnd), at.cpu, isImplied)
    case .put(let identity, let at, _):
      note(at.time)
      closeLoad(lane(identity, at.tid), at: at.time)
    case .trap(let identity, let at, let trap, let answer): self.trap(identity, at, trap, answer)
    case .loss(let at, _, let count):
      note(at.time)
      instant(
        count == 0 ? "events lost" : "\(count) events lost", "loss", Self.cpuProcess,
        Int(at.cpu) + 1,
        at.time
      ) { $0.field("count", count) }
      _ = cpu(at.cpu)
    case .finding(let rule, let level, let identity, let at):
      note(at.time)
      let (process, thread) =
        identity.map { (Self.vcpuProcess, lane($0, at.tid) + 1) } ?? (
          Self.cpuProcess, Int(at.cpu) + 1
        )
      instant(rule.id, "finding", process, thread, at.time) { json in
        json.field("title", rule.title)
        json.field("severity", rule.severity.name)
        json.field("level", level.word)
        json.field("pCPU", at.cpu)
      }
    }
    return written(order.takeSettled())
  }

  /// The rest, and the names.
  public mutating func end() -> [UInt8] {
    for lane in vcpus.indices { closeLoad(lane, at: nil, until: lastTime) }
    var bytes = written(order.takeAll())
    for line in metadata() { bytes += separated(line) }
    bytes += Array("\n]}\n".utf8)
    return bytes
  }

  // MARK: Entries

  private mutating func run(_ run: Run) {
    let lane = lane(run.vcpu, run.tid)
    vcpus[lane].pid = run.pid
    // Runs of one vCPU follow one another; a recording that says otherwise is not drawn so.
    let begin = max(run.enter, vcpus[lane].lastEnd)
    let end = max(begin, run.exit ?? run.enter)
    vcpus[lane].lastEnd = end
    note(end)
    let name =
      run.atEntry.bits == run.atExit.bits
      ? words(run.atEntry.bits) : words(run.atEntry.bits) + " then " + words(run.atExit.bits)
    slice(name, "run", Self.vcpuProcess, lane + 1, begin, end) { json in
      json.field("pCPU", run.cpu)
      json.field("ret", run.ret.map(exceptionName))
      json.field("ec", run.ec)
      json.field("basisAtEntry", run.atEntry.basis.word)
      json.field("basisAtExit", run.atExit.basis.word)
      if run.exit == nil { json.field("kvm_exit", "not seen") }
    }
    counter(lane, run.atEntry.bits, begin)
    counter(lane, run.atExit.bits, end)
    let cpu = cpu(run.cpu)
    // As on the vCPU's track.
    let from = max(begin, cpu.lastEnd)
    let live = run.atExit.bits.switchesKeys
    if live != .clear, end >= from {
      slice(
        live == .set ? "keys of \(self.name(lane))" : "keys not known", "keys", Self.cpuProcess,
        Int(run.cpu) + 1, from, end
      ) { $0.field("vCPU", run.vcpu.number) }
    }
    cpus[run.cpu]?.lastEnd = max(end, cpu.lastEnd)
    if live == .set {
      let count = cpu.switches + 1
      cpus[run.cpu]?.switches = count
      order.add(
        end, 0,
        event("C", "runs with bits set, pCPU \(run.cpu)", "switch", Self.cpuProcess, 0, end) {
          $0.field("runs", count)
        })
    }
  }

  private mutating func trap(
    _ identity: VCPUIdentity, _ at: Moment, _ trap: PtrauthTrap, _ answer: TrapAnswer
  ) {
    note(at.time)
    let name =
      switch trap {
      case .instruction: "trap EC 0x09"
      case .register(let access):
        "trap EC 0x18 \(access.isWrite ? "write" : "read") \(access.register.name)"
      }
    instant(name, "trap", Self.vcpuProcess, lane(identity, at.tid) + 1, at.time) { json in
      json.field("pCPU", at.cpu)
      json.field("answer", answer.word)
    }
  }

  private mutating func counter(_ lane: Int, _ bits: EnableBits, _ time: UInt64) {
    guard vcpus[lane].bits != bits else { return }
    vcpus[lane].bits = bits
    let name = "API and APK, tid \(vcpus[lane].tid)"
    order.add(
      time, 0,
      event("C", name, "bits", Self.vcpuProcess, 0, time) { json in
        json.field("API", bits.api.value ?? -1)
        json.field("APK", bits.apk.value ?? -1)
      })
  }

  private mutating func closeLoad(_ lane: Int, at time: UInt64?, until last: UInt64? = nil) {
    guard let load = vcpus[lane].load else { return }
    vcpus[lane].load = nil
    let cpu = cpu(load.other)
    let seen = max(load.at, vcpus[lane].lastEnd)
    let end = max(seen, time ?? last ?? seen)
    vcpus[lane].lastLoadEnd = end
    func details(_ json: inout JSONWriter) {
      json.field("implied", load.isImplied)
      if time == nil { json.field("kvm_arch_vcpu_put", "not seen") }
    }
    slice("loaded on pCPU \(load.other)", "load", Self.vcpuProcess, lane + 1, load.at, end, details)
    // The pCPU can hold one vCPU at a time.
    let from = max(load.at, cpu.load?.at ?? 0)
    cpus[load.other]?.load = (max(from, end), 0, false)
    guard end > from else { return }
    slice(
      "\(name(lane)) loaded", "load", Self.cpuProcess, Int(load.other) + 1, from, end, details)
  }

  // MARK: Tracks

  mutating func lane(_ identity: VCPUIdentity, _ tid: Int32) -> Int {
    let lane = numbers.number(identity)
    while vcpus.count <= lane { vcpus.append(Track()) }
    vcpus[lane].tid = tid
    return lane
  }

  mutating func cpu(_ number: Int32) -> Track {
    if let known = cpus[number] { return known }
    cpus[number] = Track()
    return Track()
  }

  private mutating func note(_ time: UInt64) { lastTime = max(lastTime, time) }
}
