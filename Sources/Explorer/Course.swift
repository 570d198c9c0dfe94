public import Ptrauth

/// A run of the machine: one action after the other, from its initial state on.
public struct Course: Sendable {
  public internal(set) var setting: Setting
  /// The registers it speaks for; the first one's name is used.
  public let registers: [KeyRegister]
  public internal(set) var steps: [Step]

  /// One action, with the moments before and after it.
  public struct Step: Sendable {
    public let action: Action
    let before: Machine
    let after: Machine
    let vcpuCount: Int
    /// The lines of the host's trap handler that were run.
    let lines: [Ptrauth.Step]
    /// What it broke.
    public let broken: Invariants
  }

  /// What it broke on the way.
  public var broken: Invariants {
    var all = Invariants()
    for step in steps { all.mask |= step.broken.mask }
    return all
  }
}

extension Course {
  /// A course that somebody chooses, one action at a time.
  ///
  /// - Parameters:
  ///   - length: of actions; fewer where `choose` returns nil.
  ///   - choose: one of the actions that are possible, in a fixed order.
  public init(
    in setting: Setting, of registers: [KeyRegister], length: Int, choose: ([Action]) -> Action?
  ) {
    self.init(setting: setting, registers: registers, steps: [])
    let world = World(setting, register: registers.first ?? .apiaLo)
    var machine = Machine(setting)
    while steps.count < length {
      var possible: [Action] = []
      world.forEachSuccessor(of: machine) { action, _, _ in possible.append(action) }
      guard let chosen = choose(possible),
        let step = world.step(machine, where: { action, _ in action == chosen })
      else { return }
      steps.append(step)
      machine = step.after
    }
  }
}
