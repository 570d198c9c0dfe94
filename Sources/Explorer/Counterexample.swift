public import Ptrauth

/// A shortest run of the machine that breaks an invariant.
public struct Counterexample: Sendable {
  public let invariant: Invariant
  public let course: Course

  public var registers: [KeyRegister] { course.registers }
  public var steps: [Course.Step] { course.steps }
  public var lines: [Course.Line] { course.lines }

  init(
    _ world: World, _ initial: Machine, path: [UInt128], last: Action, _ invariant: Invariant,
    _ registers: [KeyRegister]
  ) {
    self.invariant = invariant
    var steps = zip(path, path.dropFirst()).compactMap { from, to in
      world.step(Machine(packed: from, like: initial)) { $1.packed == to }
    }
    let end = Machine(packed: path.last ?? initial.packed, like: initial)
    if let step = world.step(end, where: { action, _ in action == last }) { steps.append(step) }
    course = Course(setting: world.setting, registers: registers, steps: steps)
  }
}

extension World {
  /// The first thing that can happen in `machine` and is what is asked for.
  func step(_ machine: Machine, where isIt: (Action, Machine) -> Bool) -> Course.Step? {
    var found: Course.Step?
    forEachSuccessor(of: machine) { action, after, broken in
      guard found == nil, isIt(action, after) else { return }
      found = Course.Step(
        action: action, before: machine, after: after, vcpuCount: vcpuCount,
        lines: handlerLines(action, machine, after), broken: broken)
    }
    return found
  }

  /// Which lines of the host's trap handler an action runs: one, or all where nothing can come in between.
  private func handlerLines(_ action: Action, _ m: Machine, _ after: Machine) -> [Step] {
    let v = Int(m.current[action.cpu])
    switch action {
    case .handle:
      guard case .handler(let i) = m.threads[v].place else { return [] }
      return [code.hostTrap[i].step]
    case .trap(let cpu, _, isServed: true):
      guard !setting.preemptsHandler, after.threads[v].place != .guest else { return [] }
      return code.hostTrap.filter { $0.when.hold(m.vcpus[v], on: m.cpus[cpu]) == .set }.map(\.step)
    default: return []
    }
  }
}
