public import Ptrauth

/// Every state that one class of registers can reach in a setting, breadth first.
public struct Exploration: Sendable {
  public let setting: Setting
  /// The registers it speaks for; the first one's name is used.
  public let registers: [KeyRegister]
  public private(set) var stateCount = 0
  public private(set) var transitionCount = 0
  /// Those of them that are a guest's use of pointer authentication, not trapped. 0: nothing was
  /// switched, and what holds may hold for that reason only.
  public private(set) var useCount = 0
  /// The longest of the shortest ways to a state.
  public private(set) var depth = 0
  /// The first, and so a shortest, way to break each invariant that can be broken.
  public private(set) var counterexamples: [Invariant: Counterexample] = [:]
  /// False: the limit was reached first.
  public private(set) var isComplete = true

  /// - Parameters:
  ///   - limit: more states than this are not explored (about 30 bytes each).
  ///   - until: stop once all of these are broken.
  public init(
    _ setting: Setting, _ registers: [KeyRegister], limit: Int = .max, until: Invariants? = nil
  ) {
    self.setting = setting
    self.registers = registers
    var ignored = StateSet()
    explore(limit, until, &ignored)
  }

  /// For tests: also leaves the states.
  package init(_ setting: Setting, _ registers: [KeyRegister], states: inout StateSet) {
    self.setting = setting
    self.registers = registers
    explore(.max, nil, &states)
  }

  private mutating func explore(
    _ limit: Int, _ until: Invariants?, _ found: inout StateSet
  ) {
    let world = World(setting, register: registers.first ?? .apiaLo)
    let initial = Machine(setting)
    var broken: [Invariant: (state: Int, action: Action)] = [:]
    _ = found.insert(initial.packed, from: .max)
    var index = 0
    var levelEnd = 1
    var transitions = 0
    var uses = 0
    while index < found.count {
      if index == levelEnd {
        depth += 1
        levelEnd = found.count
      }
      let isEnough = until.map { $0.list.allSatisfy { broken[$0] != nil } } ?? false
      if found.count > limit || isEnough {
        isComplete = false
        break
      }
      let machine = Machine(packed: found.states[index], like: initial)
      world.forEachSuccessor(of: machine) { action, next, breaks in
        transitions += 1
        if case .use = action { uses += 1 }
        if breaks.mask != 0 {
          for invariant in breaks.list where broken[invariant] == nil {
            broken[invariant] = (index, action)
          }
        }
        _ = found.insert(next.packed, from: UInt32(index))
      }
      index += 1
    }
    stateCount = found.count
    transitionCount = transitions
    useCount = uses
    for (invariant, place) in broken {
      counterexamples[invariant] = Counterexample(
        world, initial, path: Self.path(to: place.state, found), last: place.action, invariant,
        registers)
    }
  }

  /// The states on the way to one, the initial one first.
  private static func path(to index: Int, _ found: StateSet) -> [UInt128] {
    var path: [UInt128] = []
    var at = UInt32(index)
    while at != .max {
      path.append(found.states[Int(at)])
      at = found.parents[Int(at)]
    }
    return path.reversed()
  }
}
