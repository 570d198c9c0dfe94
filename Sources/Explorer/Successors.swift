package import Ptrauth

// What can happen next, and what then holds no more.
extension World {
  /// Calls `body` with every action possible in `m`, the machine after it, and what it broke.
  package func forEachSuccessor(of m: Machine, _ body: (Action, Machine, Invariants) -> Void) {
    func take(_ action: Action) {
      var next = m
      var broken = Invariants()
      apply(action, &next, &broken)
      check(next, &broken)
      forget(&next)
      body(action, next, broken)
    }
    for c in 0..<setting.cpus {
      let task = Int(m.current[c])
      if canBeSwitched(task, m) {
        for next in -1..<taskCount where next != task {
          if next < 0 || !m.isRunning(next, setting) { take(.switchTask(cpu: c, to: next)) }
        }
      }
      guard task >= 0, task < vcpuCount else { continue }
      switch m.threads[task].place {
      case .userspace:
        if mayRun(task, m) { take(.run(cpu: c)) }
        take(.initialize(cpu: c))
        take(.readOneReg(cpu: c))
      case .loop:
        take(.enter(cpu: c, twist: false))
        if strikesAtEntry { take(.enter(cpu: c, twist: true)) }
        take(.reset(cpu: c))
        take(.leave(cpu: c))
        if setting.isNested {
          if m.vcpus[task].nestedBits == nil {
            for bits in (0..<4).reversed() { take(.nest(cpu: c, bits: bits)) }
          } else {
            take(.nest(cpu: c, bits: -1))
          }
        }
      case .guest:
        for use in setting.firstUse == .instruction
          ? [.instruction, .writeKey] : [Action.Use.writeKey, .instruction]
        {
          let bit = use == .instruction ? m.cpus[c].hcr.api : m.cpus[c].hcr.apk
          if bit == .set {
            take(.use(cpu: c, use))
          } else {
            take(.trap(cpu: c, use, isServed: true))
            take(.trap(cpu: c, use, isServed: false))
          }
        }
        take(.readIDRegister(cpu: c))
        take(.interrupt(cpu: c))
      case .handler: take(.handle(cpu: c))
      }
    }
  }

  /// Preemption is off in the guest; and for ever after v7's early return.
  private func canBeSwitched(_ task: Int, _ m: Machine) -> Bool {
    guard task >= 0, task < vcpuCount else { return true }
    switch m.threads[task].place {
    case .userspace: return true
    case .guest: return false
    case .loop: return !m.threads[task].leakedPreemption
    case .handler: return setting.preemptsHandler && !m.threads[task].leakedPreemption
    }
  }

  /// After a refused KVM_ARM_VCPU_INIT, KVM_RUN is refused too; not where the refusal is a bare
  /// return, which leaves vcpu->arch.target set: there the worst is assumed.
  private func mayRun(_ v: Int, _ m: Machine) -> Bool {
    m.vcpus[v].feature != .partial || setting.generation.resetCheck != .unwinds
  }

  func apply(_ action: Action, _ m: inout Machine, _ broken: inout Invariants) {
    let c = action.cpu
    let v = Int(m.current[c])
    switch action {
    case .switchTask(_, let next): switchTask(c, to: next, &m, &broken)
    case .run:
      enterKernel(v, c, &m)
      load(v, c, &m, &broken)
      m.threads[v].place = .loop
    case .initialize: initialize(v, c, &m, &broken)
    case .readOneReg:
      let isShown = !setting.generation.hidesKeyRegisters || m.vcpus[v].feature == .both
      if isShown != hasFeature[v] { broken.insert(.visibleWithFeature) }
    case .enter(_, let twist): enter(v, c, twist: twist, &m, &broken)
    case .use(_, let use):
      if m.cpus[c].live != .guest(vcpu: v) { broken.insert(.guestRunsOnItsKeys) }
      if use == .writeKey { guestWrites(v, c, &m) }
    case .trap(_, _, let isServed): trap(v, c, isServed: isServed, &m, &broken)
    case .readIDRegister:
      let isShown: Bool =
        switch setting.generation.idMask {
        case .always: false
        case .withoutFeature: m.vcpus[v].feature == .both
        case .never: setting.host.address || setting.host.generic
        }
      if isShown != hasFeature[v] { broken.insert(.visibleWithFeature) }
      exit(v, c, &m, &broken)
    case .interrupt: exit(v, c, &m, &broken)
    case .handle:
      guard case .handler(let line) = m.threads[v].place else { return }
      handle(v, c, line: line, &m, &broken)
    case .reset: reset(v, c, &m, &broken)
    case .leave:
      put(v, &m)
      m.threads[v].place = .userspace
      returnToUser(v, c, &m)
    case .nest(_, let bits):
      let nested: EnableBits? =
        bits < 0 ? nil : EnableBits(api: Bit(bits & 2 != 0), apk: Bit(bits & 1 != 0))
      nest(v, c, nested, &m, &broken)
    }
  }

  private func initialize(
    _ v: Int, _ c: Int, _ m: inout Machine, _ broken: inout Invariants
  ) {
    enterKernel(v, c, &m)
    reset(v, c, &m, &broken)
    returnToUser(v, c, &m)
  }

  private func trap(
    _ v: Int, _ c: Int, isServed: Bool, _ m: inout Machine, _ broken: inout Invariants
  ) {
    let hcr = m.cpus[c].hcr
    exit(v, c, &m, &broken)
    guard isServed else { return }
    if !code.hypTrap.isEmpty, m.vcpus[v].feature == .both {
      // At EL2: straight back in.
      m.cpus[c].hcr = hcr
      run(code.hypTrap, v, c, &m)
      m.vcpus[v].context = nil
      return pass(v, c, &m, &broken)
    }
    proceed(v, c, from: 0, &m)
    guard !setting.preemptsHandler else { return }
    while case .handler(let line) = m.threads[v].place {
      handle(v, c, line: line, &m, &broken)
    }
  }
}
