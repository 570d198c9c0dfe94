public import Ptrauth

// A counterexample ends where an invariant breaks. A recording goes on, and some rules are judged only
// from what follows.
extension Course {
  /// The course, and then: every vCPU's thread that is on a pCPU finishes its handler, passes
  /// twice through the guest and returns to userspace; runs twice again, its guest uses pointer
  /// authentication and passes once more; then it runs twice more, on another pCPU if there is one;
  /// every pCPU goes idle.
  public var continued: Course {
    var whole = self
    let world = World(setting, register: registers.first ?? .apiaLo)
    func now() -> Machine { whole.steps.last?.after ?? Machine(setting) }
    func take(_ isIt: (Action) -> Bool) -> Bool {
      guard let step = world.step(now(), where: { action, _ in isIt(action) }) else { return false }
      whole.steps.append(step)
      return true
    }
    func pass(_ c: Int, count: Int) {
      for _ in 0..<count {
        _ = take { $0 == .enter(cpu: c, twist: false) }
        _ = take { $0 == .interrupt(cpu: c) }
      }
      _ = take { $0 == .leave(cpu: c) }
    }
    for c in 0..<setting.cpus {
      let task = Int(now().current[c])
      guard task >= 0, task < setting.features.count else { continue }
      while take({ $0 == .handle(cpu: c) }) {}
      if now().threads[task].place == .guest, now().cpus[c].hcr != now().vcpus[task].bits {
        // What the guest can do where HCR_EL2 and the shadow differ.
        _ = take { $0 == .trap(cpu: c, .instruction, isServed: true) }
        while take({ $0 == .handle(cpu: c) }) {}
      }
      _ = take { $0 == .interrupt(cpu: c) }
      pass(c, count: 2)
      for use in [setting.firstUse, .instruction] {
        _ = take { $0 == .run(cpu: c) }
        _ = take { $0 == .enter(cpu: c, twist: false) }
        _ = take { $0 == .trap(cpu: c, use, isServed: true) }
        while take({ $0 == .handle(cpu: c) }) {}
        _ = take { $0 == .enter(cpu: c, twist: false) }
        _ = take { $0 == .use(cpu: c, use) }
        _ = take { $0 == .interrupt(cpu: c) }
        pass(c, count: 1)
      }
      var here = c
      let other = (c + 1) % setting.cpus
      if other != c {
        _ = take { $0 == .switchTask(cpu: c, to: -1) }
        guard take({ $0 == .switchTask(cpu: other, to: task) }) else { continue }
        here = other
      }
      for _ in 0..<2 {
        _ = take { $0 == .run(cpu: here) }
        pass(here, count: 1)
      }
    }
    for c in 0..<setting.cpus { _ = take { $0 == .switchTask(cpu: c, to: -1) } }
    return whole
  }

  /// What it broke on the way, in any of the ten registers.
  public var brokenInAny: Invariants {
    KeyRegister.allCases.reduce(into: broken) { all, register in
      let world = World(setting, register: register)
      var machine = Machine(setting)
      for step in steps { all.mask |= world.follow(step, &machine).mask }
    }
  }

  /// What all ten registers' slots hold before each step, and after the last: the same steps, as the
  /// other registers see them.
  public func slots() -> [(guest: [[KeyOwner]], host: [[KeyOwner]])] {
    var all: [[Machine]] = Array(repeating: [], count: steps.count + 1)
    for register in KeyRegister.allCases {
      let world = World(setting, register: register)
      var machine = Machine(setting)
      all[0].append(machine)
      for (i, step) in steps.enumerated() {
        _ = world.follow(step, &machine)
        all[i + 1].append(machine)
      }
    }
    return all.map { machines in
      (
        guest: setting.features.indices.map { v in machines.map { $0.vcpus[v].slots } },
        host: (0..<setting.cpus).map { c in machines.map { $0.cpus[c].hostSlots.keys } }
      )
    }
  }
}

extension World {
  /// Another register's step, as this one sees it. Their handlers differ only in a line that one of
  /// them lacks: it is skipped, or done by the time the other's handler is through.
  ///
  /// - Returns: What it broke in this register.
  func follow(_ step: Course.Step, _ m: inout Machine) -> Invariants {
    let c = step.action.cpu
    let task = Int(m.current[c])
    var broken = Invariants()
    func line() -> Int? {
      guard task >= 0, task < vcpuCount, case .handler(let i) = m.threads[task].place else {
        return nil
      }
      return i
    }
    if case .handle = step.action {
      if let i = line(), let theirs = step.lines.first, code.hostTrap[i].step.isLike(theirs) {
        apply(step.action, &m, &broken)
      }
      while step.after.threads[task].place == .loop, line() != nil {
        apply(.handle(cpu: c), &m, &broken)
      }
    } else {
      apply(step.action, &m, &broken)
    }
    check(m, &broken)
    return broken
  }
}

extension Step {
  /// The same step, of whichever register.
  fileprivate func isLike(_ other: Step) -> Bool { about(.apiaLo) == other.about(.apiaLo) }
}

extension Course {
  /// The same actions in another setting, as far as they are possible there.
  public func replanned(in setting: Setting) -> Course {
    var other = self
    other.setting = setting
    other.steps = []
    let world = World(setting, register: registers.first ?? .apiaLo)
    var machine = Machine(setting)
    for step in steps {
      guard let same = world.step(machine, where: { action, _ in action == step.action }) else {
        continue
      }
      other.steps.append(same)
      machine = same.after
    }
    return other
  }
}
