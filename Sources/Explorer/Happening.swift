public import Ptrauth

/// What an observer of the kernel sees of a step: an event, or something that leaves none. One step
/// can be several: a task switch is also a put and a load.
public struct Happening: Sendable {
  public var kind: Kind
  public var cpu: Int
  /// The task it happens in; -1 is the idle task.
  public var task: Int
  /// The vCPU it is about.
  public var vcpu: Int?
  /// The whole step's, also where it is several happenings.
  public var before: Snapshot
  public var after: Snapshot
  /// What the step broke; said at its last happening.
  public var broken: [Invariant] = []

  public enum Kind: Sendable, Hashable {
    case schedSwitch(next: Int)
    case load, put
    case resetVCPU
    case getOneReg
    case entry
    /// The guest used pointer authentication and was not trapped.
    case guestUse(Action.Use)
    case exit(Exit)
    /// A trap answered at EL2: no event.
    case hypTrap(Action.Use)
    /// A line of the host's trap handler, and whether it was the last.
    case handler(Ptrauth.Step, isLast: Bool)
    case userspaceExit
    /// The guest hypervisor's ERET to its guest, or an exit to it.
    case nested(EnableBits?)
  }

  public enum Exit: Sendable, Hashable {
    case trap(Action.Use, isServed: Bool)
    case idRegister
    case interrupt
  }

  /// The vCPU and the pCPU of a happening, at a moment.
  public struct Snapshot: Sendable, Hashable {
    public var bits: EnableBits
    public var guestSlots: KeyOwner
    /// The pCPU whose context vcpu->arch.host_cpu_context is.
    public var hostContext: Int?
    /// The slots of that context, or of the pCPU's own where there is no such pointer.
    public var hostSlots: KeyOwner
    public var live: KeyOwner
    public var hcr: EnableBits
    public var isLoaded: Bool
    /// The pass under way switched keys on the way in.
    public var hasSwitched: Bool
  }
}

extension Course {
  /// The course as an observer sees it.
  public var happenings: [Happening] { steps.flatMap(\.happenings) }
}

extension Course.Step {
  public var happenings: [Happening] {
    let c = action.cpu
    let task = Int(before.current[c])
    func isInKernel(_ task: Int) -> Bool {
      task >= 0 && task < vcpuCount && before.threads[task].place != .userspace
    }
    var list: [Happening] = []
    func add(_ kind: Happening.Kind, _ task: Int) {
      let vcpu = task >= 0 && task < vcpuCount ? task : nil
      list.append(
        Happening(
          kind: kind, cpu: c, task: task, vcpu: vcpu, before: snapshot(before, vcpu, c),
          after: snapshot(after, vcpu, c)))
    }
    func handle(_ line: Ptrauth.Step, isLast: Bool) {
      add(.handler(line, isLast: isLast), task)
      guard line == .injectNested else { return }
      // kvm_inject_nested: an exit to the guest hypervisor.
      add(.nested(nil), task)
      add(.put, task)
      add(.load, task)
    }
    switch action {
    case .switchTask(_, let next):
      add(.schedSwitch(next: next), task)
      if isInKernel(task) { add(.put, task) }
      if isInKernel(next) { add(.load, next) }
    case .run: add(.load, task)
    case .initialize: add(.resetVCPU, task)
    case .readOneReg: add(.getOneReg, task)
    case .enter: add(.entry, task)
    case .use(_, let use): add(.guestUse(use), task)
    case .trap(_, let use, let isServed):
      if isServed, after.threads[task].place == .guest {
        add(.hypTrap(use), task)
      } else {
        add(.exit(.trap(use, isServed: isServed)), task)
        for (i, line) in lines.enumerated() { handle(line, isLast: i == lines.count - 1) }
      }
    case .readIDRegister: add(.exit(.idRegister), task)
    case .interrupt: add(.exit(.interrupt), task)
    case .handle:
      let isLast = after.threads[task].place == .loop
      for line in lines { handle(line, isLast: isLast) }
    case .reset:
      add(.resetVCPU, task)
      if before.vcpus[task].loadedOn != nil { add(.put, task) }
      if after.vcpus[task].loadedOn != nil { add(.load, task) }
    case .leave:
      add(.put, task)
      add(.userspaceExit, task)
    case .nest:
      add(.nested(after.vcpus[task].nestedBits), task)
      add(.put, task)
      add(.load, task)
    }
    if !list.isEmpty { list[list.count - 1].broken = broken.list }
    return list
  }

  private func snapshot(_ m: Machine, _ vcpu: Int?, _ c: Int) -> Happening.Snapshot {
    let v = m.vcpus[vcpu ?? 0]
    let context = v.hostContext.map { Int($0) }
    return Happening.Snapshot(
      bits: v.bits, guestSlots: v.slots, hostContext: context,
      hostSlots: m.cpus[context ?? c].hostSlots.keys, live: m.cpus[c].live, hcr: m.cpus[c].hcr,
      isLoaded: v.loadedOn != nil,
      hasSwitched: m.threads[vcpu ?? 0].hasSwitched)
  }
}
