package import Ptrauth

/// One exploration's rules: the setting as one class of registers sees it.
package struct World: Sendable {
  let setting: Setting
  let code: Code
  let installs: Era.Installs
  /// vcpu_has_ptrauth() as the standard answers it, by vCPU.
  let hasFeature: [Bool]
  /// What guest enter and guest exit decide by.
  let enterGuard: Conditions
  let exitGuard: Conditions
  private let restoreHost: Step
  /// Which parts of the state the code ever looks at; others stay as they began.
  let looksAtPreviousCPU: Bool
  let looksAtOldContext: Bool
  let strikesAtEntry: Bool

  package init(_ setting: Setting, register: KeyRegister) {
    self.setting = setting
    let code = setting.code.seen(by: register)
    self.code = code
    installs = setting.era.installs(register)
    hasFeature = setting.features.map { setting.standard.hasPtrauth($0, on: setting.host) }
    let usual: Conditions =
      switch setting.generation.guardReads {
      case .none: .never
      case .shadow: .shadowSet
      case .live: .hcrSet
      }
    func condition(_ lines: [Line], _ step: Step) -> Conditions {
      lines.first { $0.step == step }?.when ?? usual
    }
    enterGuard = condition(code.guestEnter, .restoreGuest(register))
    restoreHost = .restoreHost(register)
    exitGuard = condition(code.guestExit, restoreHost)
    func uses(_ condition: Conditions, _ lines: [Line]) -> Bool {
      lines.contains { $0.when.contains(condition) }
    }
    looksAtPreviousCPU = uses(.sameCPU, code.load)
    strikesAtEntry = uses(.sometimes, code.activateTraps)
    looksAtOldContext = uses(.noHostContext, code.load)
  }

  var vcpuCount: Int { setting.features.count }
  var taskCount: Int { setting.features.count + setting.tasks }

  /// The keys that must be in the registers while the kernel runs for a task; nil: any.
  func kernelKeys(_ task: Int) -> KeyOwner? {
    switch installs.inKernel {
    case .user: .host(process: setting.process(task))
    case .kernel: .kernel(task: Int32(task))
    case nil: nil
    }
  }

  // MARK: The host outside KVM

  func enterKernel(_ task: Int, _ c: Int, _ m: inout Machine) {
    if installs.atKernelEntry == .kernel { m.cpus[c].live = .kernel(task: Int32(task)) }
  }

  func returnToUser(_ task: Int, _ c: Int, _ m: inout Machine) {
    if installs.atReturn == .user { m.cpus[c].live = .host(process: setting.process(task)) }
  }

  /// schedule(): sched_switch, the old vCPU's put, __switch_to, the new vCPU's load.
  func switchTask(_ c: Int, to next: Int, _ m: inout Machine, _ broken: inout Invariants) {
    let previous = Int(m.current[c])
    if previous >= 0, previous < vcpuCount, m.threads[previous].place != .userspace {
      if m.threads[previous].hasSaved { broken.insert(.saveNotInterrupted) }
      put(previous, &m)
    }
    m.current[c] = Int8(next)
    switch installs.atSwitch {
    case .user:
      m.cpus[c].live = next < 0 ? .unwritten : .host(process: setting.process(next))
    case .kernel: m.cpus[c].live = next < 0 ? .unwritten : .kernel(task: Int32(next))
    case nil: break
    }
    guard next >= 0 else { return }
    if next < vcpuCount, m.threads[next].place != .userspace {
      load(next, c, &m, &broken)
    } else {
      returnToUser(next, c, &m)
    }
  }

  // MARK: KVM

  /// Runs lines of the code with nothing coming in between.
  func run(_ lines: [Line], _ v: Int, _ c: Int, twist: Bool = false, _ m: inout Machine) {
    for line in lines { run(line, v, c, twist: twist, &m) }
  }

  func run(_ line: Line, _ v: Int, _ c: Int, twist: Bool, _ m: inout Machine) {
    let owner = Int(m.vcpus[v].context ?? Int32(c))
    var context = m.cpus[owner].hostSlots
    line.run(&m.vcpus[v], on: &m.cpus[c], at: Int32(c), context: &context, strikes: twist)
    if case .saveHost = line.step { m.cpus[owner].hostSlots = context }
  }

  func load(_ v: Int, _ c: Int, _ m: inout Machine, _ broken: inout Invariants) {
    // A context that an interrupted handler has in hand stays in hand.
    let context = m.vcpus[v].context
    run(code.load, v, c, &m)
    m.vcpus[v].context = context
    m.vcpus[v].previouslyOn = nil
    if hasFeature[v], setting.standard.load == .clears, m.vcpus[v].bits != .clear {
      broken.insert(.loadClears)
    }
  }

  func put(_ v: Int, _ m: inout Machine) {
    if looksAtPreviousCPU, let cpu = m.vcpus[v].loadedOn { m.vcpus[v].previouslyOn = cpu }
    m.vcpus[v].loadedOn = nil
    if !looksAtOldContext { m.vcpus[v].hostContext = nil }
    m.threads[v].hasSaved = false
  }

  /// kvm_reset_vcpu. Whoever asked for ptrauth in vain is refused.
  func reset(_ v: Int, _ c: Int, _ m: inout Machine, _ broken: inout Invariants) {
    let isLoaded = m.vcpus[v].loadedOn != nil
    if isLoaded { put(v, &m) }
    if setting.features[v] != .none, m.vcpus[v].feature != .both {
      switch setting.generation.resetCheck {
      case .none: break
      case .returnsEarly:
        m.threads[v].leakedPreemption = true
        broken.insert(.preemptionBalanced)
        return
      case .unwinds:
        if isLoaded { load(v, c, &m, &broken) }
        return
      }
    }
    run(code.reset, v, c, &m)
    // It starts in the guest hypervisor.
    m.vcpus[v].nestedBits = nil
    if isLoaded { load(v, c, &m, &broken) } else { m.vcpus[v].bits = .clear }
  }

  func enter(_ v: Int, _ c: Int, twist: Bool, _ m: inout Machine, _ broken: inout Invariants) {
    if m.vcpus[v].loadedOn != Int32(c) { broken.insert(.enteredWhileLoaded) }
    run(code.activateTraps, v, c, twist: twist, &m)
    pass(v, c, &m, &broken)
  }

  /// __guest_enter.
  func pass(_ v: Int, _ c: Int, _ m: inout Machine, _ broken: inout Invariants) {
    run(code.guestEnter, v, c, &m)
    m.vcpus[v].context = nil
    m.threads[v].hasSaved = false
    m.threads[v].place = .guest
    let switched = enterGuard.hold(m.vcpus[v], on: m.cpus[c]) == .set
    m.threads[v].hasSwitched = switched
    if m.cpus[c].hcr != m.vcpus[v].bits { broken.insert(.hcrIsShadow) }
    guard switched else { return }
    if !hasFeature[v] { broken.insert(.featureGuards) }
    let slots = m.cpus[c].hostSlots
    let mustBe = kernelKeys(v)
    if slots.isFresh != .set || (mustBe != nil && slots.keys != mustBe) {
      broken.insert(.hostSavedBeforeEntry)
    }
  }

  func exit(_ v: Int, _ c: Int, _ m: inout Machine, _ broken: inout Invariants) {
    var switches: Bool?
    for line in code.guestExit {
      if line.step == restoreHost { switches = exitGuard.hold(m.vcpus[v], on: m.cpus[c]) == .set }
      run(line, v, c, twist: false, &m)
    }
    let decided = switches ?? (exitGuard.hold(m.vcpus[v], on: m.cpus[c]) == .set)
    if decided != m.threads[v].hasSwitched { broken.insert(.guardsAgree) }
    if let mustBe = kernelKeys(v), m.cpus[c].live != mustBe { broken.insert(.exitRestoresHost) }
    if m.cpus[c].isUnsynchronized, installs.kernelUses { broken.insert(.exitRestoresHost) }
    if m.vcpus[v].slots != .guest(vcpu: v) { broken.insert(.exitRestoresHost) }
    m.cpus[c].isUnsynchronized = false
    m.cpus[c].hcr = .clear
    m.threads[v].hasSwitched = false
    m.threads[v].place = .loop
  }

  /// The host's handler, from line `index` on: to the next line that applies.
  func proceed(_ v: Int, _ c: Int, from index: Int, _ m: inout Machine) {
    var i = index
    while i < code.hostTrap.count {
      if code.hostTrap[i].when.hold(m.vcpus[v], on: m.cpus[c]) == .set {
        m.threads[v].place = .handler(i)
        return
      }
      i += 1
    }
    m.vcpus[v].context = nil
    m.threads[v].place = .loop
  }

  func handle(_ v: Int, _ c: Int, line i: Int, _ m: inout Machine, _ broken: inout Invariants) {
    let line = code.hostTrap[i]
    run(line, v, c, twist: false, &m)
    if case .saveHost = line.step { m.threads[v].hasSaved = true }
    if line.step == .injectNested { nest(v, c, nil, &m, &broken) }
    proceed(v, c, from: i + 1, &m)
  }

  /// The guest hypervisor enters its guest, or is entered: put, another context, load.
  func nest(
    _ v: Int, _ c: Int, _ bits: EnableBits?, _ m: inout Machine, _ broken: inout Invariants
  ) {
    put(v, &m)
    m.vcpus[v].nestedBits = bits
    load(v, c, &m, &broken)
  }

  /// The guest wrote its keys: whoever has copies of the old ones has old copies.
  func guestWrites(_ v: Int, _ c: Int, _ m: inout Machine) {
    let own = KeyOwner.guest(vcpu: v)
    let old = KeyOwner.oldGuest(vcpu: v)
    if m.vcpus[v].slots == own { m.vcpus[v].slots = old }
    for other in 0..<setting.cpus {
      if m.cpus[other].live == own { m.cpus[other].live = old }
      if m.cpus[other].hostSlots.keys == own { m.cpus[other].hostSlots.keys = old }
    }
    m.cpus[c].live = own
  }

  /// Where the kernel runs and nobody minds whose user keys a register holds, whose is not kept
  /// apart: the next return to EL0 writes it.
  func forget(_ m: inout Machine) {
    guard installs.inKernel == nil else { return }
    for c in 0..<setting.cpus {
      if case .host = m.cpus[c].hostSlots.keys { m.cpus[c].hostSlots.keys = .unwritten }
      let task = Int(m.current[c])
      let isAtEL0 = task >= 0 && (task >= vcpuCount || m.threads[task].place == .userspace)
      if !isAtEL0, case .host = m.cpus[c].live { m.cpus[c].live = .unwritten }
    }
  }

  // MARK: What must hold at every moment

  func check(_ m: Machine, _ broken: inout Invariants) {
    for v in 0..<vcpuCount {
      let bits = m.vcpus[v].bits
      if !hasFeature[v], bits != .clear { broken.insert(.featureGuards) }
      if let nested = m.vcpus[v].nestedBits, hasFeature[v] {
        if m.vcpus[v].loadedOn != nil, bits != nested { broken.insert(.bitsEqual) }
      } else if bits.api != bits.apk {
        broken.insert(.bitsEqual)
      }
    }
    for c in 0..<setting.cpus {
      let task = Int(m.current[c])
      guard task >= 0 else { continue }
      let place = task < vcpuCount ? m.threads[task].place : .userspace
      switch place {
      case .userspace:
        if m.cpus[c].live != .host(process: setting.process(task)) {
          broken.insert(.hostRunsOnItsKeys)
        }
      case .guest: break
      case .loop, .handler:
        if installs.kernelUses, m.cpus[c].live != .kernel(task: Int32(task)) {
          broken.insert(.hostRunsOnItsKeys)
        }
      }
    }
  }
}
