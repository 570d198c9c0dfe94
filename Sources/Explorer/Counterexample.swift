public import Ptrauth

/// A shortest run of the machine that breaks an invariant.
public struct Counterexample: Sendable {
  public let invariant: Invariant
  public let steps: [Step]

  /// One action, with the moments before and after it.
  public struct Step: Sendable {
    public let action: Action
    let before: Machine
    let after: Machine
    /// What it broke.
    public let broken: Invariants
  }

  init(
    _ world: World, _ initial: Machine, path: [UInt128], last: Action, _ invariant: Invariant
  ) {
    var steps: [Step] = []
    for (from, to) in zip(path, path.dropFirst()) {
      if let step = Self.step(
        world, Machine(packed: from, like: initial), where: { $1.packed == to })
      {
        steps.append(step)
      }
    }
    let end = Machine(packed: path.last ?? initial.packed, like: initial)
    if let step = Self.step(world, end, where: { action, _ in action == last }) {
      steps.append(step)
    }
    self.invariant = invariant
    self.steps = steps
  }

  private static func step(
    _ world: World, _ before: Machine, where isIt: (Action, Machine) -> Bool
  ) -> Step? {
    var found: Step?
    world.forEachSuccessor(of: before) { action, after, broken in
      if found == nil, isIt(action, after) {
        found = Step(action: action, before: before, after: after, broken: broken)
      }
    }
    return found
  }
}
