import Ptrauth
import Replay
import Trace

/// A recording written by hand: vCPU threads that load, run and trap as the tests say, with every
/// probe the analysis understands.
struct Script {
  var generation: Generation? = .g2
  var schemeBasis = SchemeBasis.code
  var probed = true
  private var exitedAt: [Int32: UInt64] = [:]
  var samplesKeys = true
  var samplesShadow = true
  var probesLoads = true
  /// What the probe of handle_exit fetches in place of esr_el2.
  var fetchedESR: UInt64?
  var kernelUsesPointerAuth: Bool? = false
  var events: [Event] = []
  var time: UInt64 = 1_000_000

  static let both: UInt64 = 0x64
  static let neither: UInt64 = 0x4
  static let enabled = EnableBits.apiMask | EnableBits.apkMask

  static func address(_ function: KernelFunction) -> UInt64 {
    0xffff_8000_0800_0000 + UInt64(KernelFunction.allCases.firstIndex(of: function) ?? 0) * 0x1000
  }

  /// One vCPU and the thread that runs it.
  struct VCPU {
    var pointer: UInt64 = 0xffff_0000_0100_0000
    var number: Int32 = 0
    var tid: Int32 = 101
    var pid: Int32 = 100
    var cpu: Int32 = 0
    var features: UInt64 = Script.both
    var guest = KeySlots(repeating: KeySlots.resetValue)
    var host = KeySlots(repeating: 7)
    var hostContext: UInt64 = 0xffff_0000_7000_0000

    /// Each pCPU has a host context of its own.
    mutating func move(to cpu: Int32) {
      self.cpu = cpu
      hostContext = 0xffff_0000_7000_0000 + UInt64(cpu) * 0x1000
    }
  }

  mutating func add(_ v: VCPU, _ payload: Event.Payload) {
    time += 1000
    events.append(Event(time: time, cpu: v.cpu, pid: v.pid, tid: v.tid, payload: payload))
  }

  mutating func probe(
    _ function: KernelFunction, _ v: VCPU, hcr: UInt64? = nil, esr: UInt64? = nil,
    exitCode: Int32? = nil
  ) {
    guard probed else { return }
    var fields = ProbeFields()
    fields.vcpu = v.pointer
    fields.vcpuID = v.number
    fields.hcr = samplesShadow ? hcr : nil
    fields.features = v.features
    fields.esr = esr
    fields.exitCode = exitCode
    if samplesKeys {
      fields.guestKeys = v.guest
      fields.hostKeys = v.host
      fields.hostContext = v.hostContext
    }
    if function == .vcpuLoad { fields.cpu = v.cpu }
    add(
      v,
      .probe(ProbeHit(address: Self.address(function), isReturn: false, fields: fields)))
  }

  mutating func load(_ v: VCPU, hcr: UInt64 = 0) { probe(.vcpuLoad, v, hcr: hcr) }
  mutating func put(_ v: VCPU, hcr: UInt64 = 0) { probe(.vcpuPut, v, hcr: hcr) }

  /// One iteration of the run loop up to handle_exit: the shadow is `hcr` throughout, unless
  /// `after` says that it was set within.
  mutating func run(
    _ v: VCPU, hcr: UInt64, after: UInt64? = nil, ret: Int32 = 2, ec: UInt32 = 0x24,
    esr: UInt64? = nil, from: UInt64? = nil, to: UInt64 = 0x4000_0010
  ) {
    // Without probes the PC says something: the guest goes on where it was.
    enter(v, hcr: hcr, pc: from ?? (probed ? nil : exitedAt[v.tid]) ?? 0x4000_0000)
    exitedAt[v.tid] = to
    probe(.sync, v, hcr: after ?? hcr)
    add(v, .exit(ret: ret, ec: ret == 2 ? ec : 0, pc: to))
    probe(
      .handleExit, v, hcr: after ?? hcr, esr: esr ?? fetchedESR ?? UInt64(ec) << 26, exitCode: ret)
  }

  /// The beginning of such an iteration, up to the pass itself.
  mutating func enter(_ v: VCPU, hcr: UInt64, pc: UInt64 = 0x4000_0000) {
    probe(.flush, v, hcr: hcr)
    add(v, .entry(pc: pc))
    probe(.vcpuRun, v, hcr: hcr)
  }

  /// A load interval in which the guest traps, is answered, and runs with its keys.
  mutating func useKeys(_ v: VCPU) {
    load(v)
    trap(v)
    run(v, hcr: Self.enabled)
    put(v, hcr: Self.enabled)
  }

  /// A run that ends with a pointer authentication instruction trap, and its handler.
  /// `isRetry`: it begins with that instruction.
  mutating func trap(
    _ v: VCPU, hcr: UInt64 = 0, pc: UInt64 = 0x4000_0100, isRetry: Bool = false
  ) {
    run(v, hcr: hcr, ec: 9, from: isRetry ? pc : probed ? pc &- 0x40 : nil, to: pc)
    probe(.handlePtrauth, v, hcr: hcr)
    if generation?.trap == .reachesHost { probe(.ptrauthTrap, v, hcr: hcr) }
  }

  /// A run that ends with a trapped access to a key register, and its handler.
  mutating func trap(
    _ v: VCPU, _ register: KeyRegister, write: Bool, hcr: UInt64 = 0, pc: UInt64 = 0x4000_0200
  ) {
    let esr = Self.esr(register, write: write)
    run(v, hcr: hcr, ec: 0x18, esr: esr, from: probed ? pc &- 0x40 : nil, to: pc)
    add(v, .handleSysReg(esr: esr))
    if generation?.trap == .reachesHost { probe(.ptrauthTrap, v, hcr: hcr) }
  }

  /// 0x62300800 | Op2 << 17 | CRm << 1 | direction (reference-model §0).
  static func esr(_ register: KeyRegister, write: Bool) -> UInt64 {
    let i = UInt64(register.rawValue)
    return 0x6230_0800 | (i % 4) << 17 | (i / 4 + 1) << 1 | (write ? 0 : 1)
  }

  /// The probed function returns.
  mutating func returns(_ function: KernelFunction, _ v: VCPU) {
    add(
      v, .probe(ProbeHit(address: Self.address(function), isReturn: true, fields: ProbeFields())))
  }

  mutating func switchTasks(_ v: VCPU, to next: Int32) {
    add(v, .schedSwitch(prev: v.tid, prevState: 0, next: next))
  }

  var recordedEvents: [RecordedEvent] {
    var list = [
      "kvm_entry", "kvm_exit", "kvm_handle_sys_reg", "kvm_userspace_exit", "kvm_nested_eret",
      "kvm_inject_nested_exception",
    ].map {
      RecordedEvent(system: "kvm", name: $0, isProbe: false, fields: [])
    }
    list.append(RecordedEvent(system: "sched", name: "sched_switch", isProbe: false, fields: []))
    if probed {
      var fields = ["vcpu", "vcpu_id", "features"] + (probesLoads ? ["cpu"] : [])
      if samplesShadow { fields.append("hcr_el2") }
      if samplesKeys {
        fields += [
          "host_ctxt", "apiakeylo_el1", "apgakeyhi_el1", "host_apiakeylo_el1",
          "host_apgakeyhi_el1",
        ]
      }
      list.append(RecordedEvent(system: "ptrauth", name: "p", isProbe: true, fields: fields))
    }
    return list
  }

  var configuration: Replayer.Configuration {
    var configuration = Replayer.Configuration()
    configuration.generation = generation
    configuration.schemeBasis = schemeBasis
    configuration.kernelUsesPointerAuth = kernelUsesPointerAuth
    configuration.recordedEvents = recordedEvents
    configuration.resolve = { address in
      KernelFunction.allCases.first { Script.address($0) == address }
    }
    return configuration
  }

  /// Replays the script.
  func replay(
    shadowIsNotLive: Bool = false, isCut: Bool = false, isDamaged: Bool = false
  ) -> (analysis: Analysis, timeline: [TimelineEntry]) {
    var configuration = configuration
    configuration.shadowIsNotLive = shadowIsNotLive
    configuration.isDamaged = isDamaged
    var timeline: [TimelineEntry] = []
    var replayer = Replayer(configuration) { timeline.append($0) }
    for event in events { replayer.consume(event) }
    return (replayer.finish(isCut: isCut), timeline)
  }

  /// `a` is preempted inside its handler, after it set the bits, and returns on the next pCPU; `b` traps where it was.
  mutating func moveHandler(of a: inout VCPU, to b: VCPU) {
    load(a)
    trap(a)
    switchTasks(a, to: b.tid)
    put(a, hcr: Self.enabled)
    load(b)
    trap(b)
    a.cpu += 1
    a.hostContext += 0x1000
    load(a, hcr: Self.enabled)
    returns(.ptrauthTrap, a)
  }

  var correctnessRules: [String] {
    replay().analysis.findings.filter(\.rule.isCorrectness).map(\.rule.id)
  }

  var costRules: [String] {
    replay().analysis.findings.filter { !$0.rule.isCorrectness }.map(\.rule.id)
  }

  func finding(_ rule: Rule, _ level: Finding.Level = .proved) -> Finding? {
    replay().analysis.findings.first { $0.rule == rule && $0.level == level }
  }
}

extension KeySlots {
  init(repeating value: UInt64) { self.init(registers: InlineArray(repeating: value)) }
  /// Ten different values made from one.
  init(seed: UInt64) {
    var registers = InlineArray<10, UInt64>(repeating: 0)
    for i in 0..<10 { registers[i] = seed &* 0x9e37_79b9_7f4a_7c15 &+ UInt64(i) &* 0x1234_5671 | 1 }
    self.init(registers: registers)
  }
  func with(_ index: Int, _ value: UInt64) -> KeySlots {
    var copy = registers
    copy[index] = value
    return KeySlots(registers: copy)
  }
}

extension [TimelineEntry] {
  var runs: [Run] {
    compactMap { if case .run(let run) = $0 { run } else { nil } }
  }
}
