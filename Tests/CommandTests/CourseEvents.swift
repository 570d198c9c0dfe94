import Explorer
import Ptrauth
import Replay
import Trace

/// A course of the model as the recording it would have made: kvm and sched tracepoints, and every probe
/// with the fields of their usual names. Times, pids and pointers are made up; key values differ where
/// owners differ.
struct CourseEvents {
  private(set) var events: [Event] = []
  private let setting: Setting
  /// The register that trapped MSRs name.
  private let register: KeyRegister
  private var time: UInt64 = 1_000_000_000
  /// How often each guest wrote its keys.
  private var versions: [Int]
  /// Where each guest is: in the handlers of interrupts that came before a trapped instruction could be retried,
  /// the last one first.
  private var frames: [[Frame]]
  private struct Frame {
    var pc: UInt64
    /// Trapped, and not run yet.
    var pending: Action.Use?
  }
  /// What HCR_EL2 held at both ends of each run, by the time of its kvm_entry.
  private(set) var runs: [UInt64: (entry: EnableBits, exit: EnableBits)] = [:]
  private var entered: [UInt64]
  /// What the host's slots of each pCPU hold, and whose it is: a value that was saved stays what it was, when its
  /// owner writes another to the register.
  private var held: [[(owner: KeyOwner, value: UInt64)]]
  /// The same of each guest's slots.
  private var heldByGuests: [[(owner: KeyOwner, value: UInt64)]]

  init(_ whole: Course) {
    setting = whole.setting
    register = whole.registers.first ?? .apiaLo
    versions = setting.features.map { _ in 0 }
    frames = setting.features.indices.map { [Frame(pc: 0x4000_0000 + UInt64($0) << 20)] }
    entered = setting.features.map { _ in 0 }
    let slots = whole.slots()
    held = slots[0].host.map { $0.map { ($0, 0) } }
    heldByGuests = slots[0].guest.map { $0.map { ($0, KeySlots.resetValue) } }
    for (i, step) in whole.steps.enumerated() {
      for happening in step.happenings {
        add(happening, before: Slots(slots[i]), after: Slots(slots[i + 1]))
      }
      hold(Slots(slots[i + 1]))
    }
  }

  /// What a replay of the events has to know of their recording.
  var configuration: Replayer.Configuration {
    var configuration = Replayer.Configuration()
    configuration.generation = recognized
    configuration.kernelUsesPointerAuth = setting.era.apia.kernelUses
    configuration.recordedEvents = recordedEvents
    configuration.resolve = { address in
      KernelFunction.allCases.first { Self.address(of: $0) == address }
    }
    return configuration
  }

  /// A fault may make the code that of another generation: then that is what its vmlinux shows.
  private var recognized: Generation {
    Generation.all.first { other in
      var same = setting.generation
      (same.name, same.id) = (other.name, other.id)
      (same.origin, same.eras) = (other.origin, other.eras)
      return same == other
    } ?? setting.standard
  }

  private struct Slots {
    var guest, host: [[KeyOwner]]
    init(_ slots: (guest: [[KeyOwner]], host: [[KeyOwner]])) { (guest, host) = slots }
  }

  // MARK: Happenings

  private mutating func add(_ happening: Happening, before: Slots, after: Slots) {
    let v = happening.vcpu ?? 0
    func at(_ function: KernelFunction, _ slots: Slots, _ moment: Happening.Snapshot) -> Sample {
      Sample(function: function, happening: happening, slots: slots, moment: moment)
    }
    let then = happening.before
    let now = happening.after
    switch happening.kind {
    case .schedSwitch(let next):
      add(happening, .schedSwitch(prev: tid(happening.task), prevState: 0, next: tid(next)))
    case .load: probe(at(.vcpuLoad, before, then))
    case .put: probe(at(.vcpuPut, before, then))
    case .resetVCPU:
      probe(at(.resetVCPU, before, then))
      versions[v] = 0
      frames[v] = [Frame(pc: 0x4000_0000 + UInt64(v) << 20)]
    case .getOneReg: break
    case .guestUse(let use):
      if use == .writeKey { versions[v] += 1 }
      if let i = resumable(v, use) {
        frames[v].removeFirst(i)
        frames[v][0].pending = nil
      }
    case .entry:
      probe(at(.flush, before, now))
      add(happening, .entry(pc: frames[v][0].pc))
      entered[v] = time
      runs[time] = (now.hcr, now.hcr)
      probe(at(.vcpuRun, before, now))
    case .exit(let exit):
      runs[entered[v]]?.exit = then.hcr
      // The handler of a trap may be in the same step, and comes later.
      var moment = now
      if case .trap = exit { moment.bits = then.bits }
      probe(at(.sync, after, moment))
      self.exit(happening, exit, at(.handleExit, after, moment))
    case .hypTrap: break
    case .handler(let step, let isLast):
      if step == .injectUndefined { probe(at(.injectUndefined, after, now)) }
      if isLast, setting.generation.trap == .reachesHost {
        var sample = at(.ptrauthTrap, after, now)
        sample.isReturn = true
        probe(sample)
      }
    case .userspaceExit: add(happening, .userspaceExit(reason: 0, errno: 0))
    case .nested(let bits?):
      let hcr =
        (bits.api == .set ? EnableBits.apiMask : 0) | (bits.apk == .set ? EnableBits.apkMask : 0)
      // To EL1h.
      add(happening, .nestedEret(vcpu: Self.pointer(of: v), spsr: 5, hcr: hcr))
    case .nested(nil): add(happening, .nestedException(vcpu: Self.pointer(of: v)))
    }
  }

  /// The frame whose trapped instruction comes next, if it is this one: handlers that are through have returned to it.
  private func resumable(_ v: Int, _ use: Action.Use) -> Int? {
    guard let i = frames[v].firstIndex(where: { $0.pending != nil }), frames[v][i].pending == use
    else { return nil }
    return i
  }

  /// Where the guest exits: a trapped instruction is retried, any other exit is further on, and at no vector.
  private mutating func place(_ v: Int, _ exit: Happening.Exit) -> UInt64 {
    let use: Action.Use? = if case .trap(let use, _) = exit { use } else { nil }
    if let use, let i = resumable(v, use) {
      frames[v].removeFirst(i)
    } else if frames[v][0].pending != nil {
      let depth = UInt64(frames[v].count)
      frames[v].insert(
        Frame(pc: 0x4800_0000 + UInt64(v) << 20 + depth << 12 + 0x24, pending: use), at: 0)
    } else {
      frames[v][0].pc += 0x24
      frames[v][0].pending = use
    }
    return frames[v][0].pc
  }

  private mutating func exit(_ happening: Happening, _ exit: Happening.Exit, _ sample: Sample) {
    let v = happening.vcpu ?? 0
    var sample = sample
    let pc = place(v, exit)
    var ret: Int32 = 2
    var isKey = false
    switch exit {
    case .trap(.instruction, _): sample.esr = 0x2600_0000
    case .trap(.writeKey, _):
      let i = UInt64(register.rawValue)
      sample.esr = 0x6230_0800 | (i % 4) << 17 | (i / 4 + 1) << 1
      isKey = true
    // MRS x0, ID_AA64ISAR1_EL1: 3, 0, 0, 6, 1.
    case .idRegister: sample.esr = 0x6230_0000 | 1 << 17 | 6 << 1 | 1
    case .interrupt: ret = 0
    }
    let esr = sample.esr ?? 0
    add(happening, .exit(ret: ret, ec: ret == 2 ? UInt32(esr >> 26) : 0, pc: pc))
    sample.exitCode = ret
    probe(sample)
    guard case .trap(_, isServed: true) = exit else { return }
    if isKey {
      add(happening, .handleSysReg(esr: esr))
    } else {
      sample.function = .handlePtrauth
      probe(sample)
    }
    // Without the feature a key register is hidden: UNDEF before its handler is asked.
    let reachesHandler = !isKey || setting.features[v] == .both
    if setting.generation.trap == .reachesHost, reachesHandler {
      sample.function = .ptrauthTrap
      probe(sample)
    }
  }

  // MARK: Events

  private struct Sample {
    var function: KernelFunction
    var happening: Happening
    var slots: Slots
    var moment: Happening.Snapshot
    var esr: UInt64?
    var exitCode: Int32?
    var isReturn = false
  }

  private mutating func probe(_ sample: Sample) {
    let v = sample.happening.vcpu ?? 0
    let cpu = sample.happening.cpu
    var fields = ProbeFields()
    if !sample.isReturn {
      fields.vcpu = Self.pointer(of: v)
      fields.vcpuID = Int32(v)
      fields.hcr =
        (sample.moment.bits.api == .set ? EnableBits.apiMask : 0)
        | (sample.moment.bits.apk == .set ? EnableBits.apkMask : 0)
      fields.features = features(v)
      fields.esr = sample.esr
      fields.exitCode = sample.exitCode
      hold(sample.slots)
      fields.guestKeys = keys(heldByGuests[v])
      if setting.generation.hasHostContextPointer {
        let context = sample.moment.hostContext
        fields.hostContext = context.map { 0xffff_0000_7000_0000 + UInt64($0) << 12 } ?? 0
        fields.hostKeys = hostKeys(context)
      }
      if sample.function == .vcpuLoad { fields.cpu = Int32(cpu) }
    }
    let task = sample.function == .vcpuLoad ? v : sample.happening.task
    add(
      cpu, task,
      .probe(
        ProbeHit(
          address: Self.address(of: sample.function), isReturn: sample.isReturn, fields: fields)))
  }

  private mutating func add(_ happening: Happening, _ payload: Event.Payload) {
    add(happening.cpu, happening.task, payload)
  }

  private mutating func add(_ cpu: Int, _ task: Int, _ payload: Event.Payload) {
    time += 1000
    let pid: Int32 =
      task < 0 ? 0 : setting.isOneVMM && task < setting.features.count ? 101 : tid(task)
    events.append(Event(time: time, cpu: Int32(cpu), pid: pid, tid: tid(task), payload: payload))
  }

  private func tid(_ task: Int) -> Int32 { task < 0 ? 0 : 101 + Int32(task) }

  /// KVM_ARM_VCPU_PSCI_0_2 is bit 2, KVM_ARM_VCPU_HAS_EL2 bit 7.
  private func features(_ v: Int) -> UInt64 {
    let asked: UInt64 =
      switch setting.features[v] {
      case .both: 0x60
      case .partial: 0x20
      case .none, .unknown: 0
      }
    return 0x4 | asked | (setting.isNested ? 0x80 : 0)
  }

  private static func pointer(of vcpu: Int) -> UInt64 { 0xffff_0000_0100_0000 + UInt64(vcpu) << 16 }

  static func address(of function: KernelFunction) -> UInt64 {
    0xffff_8000_0800_0000 + UInt64(KernelFunction.allCases.firstIndex(of: function) ?? 0) << 12
  }

  // MARK: Key values

  private func keys(_ slots: [(owner: KeyOwner, value: UInt64)]) -> KeySlots {
    var registers = InlineArray<10, UInt64>(repeating: 0)
    for (i, slot) in slots.enumerated() where i < 10 { registers[i] = slot.value }
    return KeySlots(registers: registers)
  }

  private func hostKeys(_ context: Int?) -> KeySlots { keys(context.map { held[$0] } ?? []) }

  private mutating func hold(_ slots: Slots) {
    for (cpu, owners) in slots.host.enumerated() {
      for (register, owner) in owners.enumerated() where held[cpu][register].owner != owner {
        held[cpu][register] = (owner, value(owner, register))
      }
    }
    for (guest, owners) in slots.guest.enumerated() {
      for (register, owner) in owners.enumerated() {
        let known = heldByGuests[guest][register]
        guard known.owner != owner else { continue }
        // The guest has new keys, and these are as old as they were.
        let isLeft = if case .oldGuest = owner { true } else { false }
        heldByGuests[guest][register] = (
          owner, isLeft && known.owner == .guest(vcpu: guest) ? known.value : value(owner, register)
        )
      }
    }
  }

  private func value(_ owner: KeyOwner, _ register: Int) -> UInt64 {
    func made(_ kind: UInt64, _ who: Int, _ version: Int = 0) -> UInt64 {
      let seed = kind << 32 | UInt64(who) << 16 | UInt64(version) << 8 | UInt64(register)
      return (seed &+ 1) &* 0x9e37_79b9_7f4a_7c15
    }
    switch owner {
    case .unwritten, .unknown: return 0
    case .host(let process): return made(1, Int(process))
    case .kernel(let task): return made(2, Int(task))
    case .guest(let v): return versions[v] == 0 ? KeySlots.resetValue : made(3, v, versions[v])
    case .oldGuest(let v):
      return versions[v] < 2 ? KeySlots.resetValue : made(3, v, versions[v] - 1)
    }
  }

  private var recordedEvents: [RecordedEvent] {
    let kvm = [
      "kvm_entry", "kvm_exit", "kvm_handle_sys_reg", "kvm_userspace_exit", "kvm_nested_eret",
      "kvm_inject_nested_exception",
    ].map {
      RecordedEvent(system: "kvm", name: $0, isProbe: false, fields: [])
    }
    var fields = ["vcpu", "cpu", "vcpu_id", "hcr_el2", "features", "esr_el2", "exit_code"]
    fields += KeyRegister.allCases.map { $0.name.lowercased() }
    if setting.generation.hasHostContextPointer {
      fields += ["host_ctxt"] + KeyRegister.allCases.map { "host_" + $0.name.lowercased() }
    }
    return kvm + [
      RecordedEvent(system: "sched", name: "sched_switch", isProbe: false, fields: []),
      RecordedEvent(system: "ptrauth", name: "p", isProbe: true, fields: fields),
    ]
  }
}
