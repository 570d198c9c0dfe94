public import Ptrauth

/// What is explored: how many of everything, and which code.
public struct Setting: Sendable, Hashable {
  /// What runs: its facts, and its code, which may have a fault in it.
  public var generation: Generation
  public var code: Code
  /// What the invariants are judged by; another generation only where a fact is at fault.
  public var standard: Generation
  public var era: Era
  public var host = HostSupport()
  /// What userspace asks for, by vCPU; each vCPU has a thread of its own.
  public var features: [Feature]
  public var cpus: Int
  /// Host tasks besides the vCPUs' threads, each a process of its own.
  public var tasks: Int
  /// All vCPUs' threads are of one process; else each of its own.
  public var isOneVMM = false
  /// The host's trap handler can be preempted between any two of its lines. If not, it runs whole.
  public var preemptsHandler = true
  /// Nested guests run, with bits of their hypervisor's choice.
  public var isNested = false
  /// What a guest tries first; it tries everything.
  public var firstUse = Action.Use.instruction

  public init(
    _ generation: Generation, code: Code? = nil, era: Era? = nil, features: [Feature] = [.both],
    cpus: Int = 1, tasks: Int = 0
  ) {
    self.generation = generation
    standard = generation
    self.code = code ?? generation.code
    self.era = era ?? generation.eras[0]
    self.features = features
    self.cpus = cpus
    self.tasks = tasks
  }

  /// What a packed state has room for.
  public static let vcpuLimit = 3
  public static let cpuLimit = 3
  public static let taskLimit = 3

  /// Registers that the code and the host treat alike, and that therefore need one exploration.
  public var registerClasses: [[KeyRegister]] {
    var classes: [(Shape, [KeyRegister])] = []
    for register in KeyRegister.allCases {
      let shape = Shape(code: code.seen(by: register).anonymous, installs: era.installs(register))
      if let i = classes.firstIndex(where: { $0.0 == shape }) {
        classes[i].1.append(register)
      } else {
        classes.append((shape, [register]))
      }
    }
    return classes.map(\.1)
  }

  private struct Shape: Hashable {
    var code: Code
    var installs: Era.Installs
  }

  /// The process whose user keys a task has. Tasks are the vCPUs' threads, then the others.
  func process(_ task: Int) -> Int32 { isOneVMM && task < features.count ? 0 : Int32(task) }
}

extension Code {
  /// The code with every register called APIAKEYLO: to compare what two registers see.
  var anonymous: Code {
    func same(_ lines: [Line]) -> [Line] { lines.map { Line($0.when, $0.step.about(.apiaLo)) } }
    return Code(
      reset: same(reset), load: same(load), activateTraps: same(activateTraps),
      guestEnter: same(guestEnter), guestExit: same(guestExit), hypTrap: same(hypTrap),
      hostTrap: same(hostTrap))
  }
}

extension Step {
  func about(_ key: KeyRegister) -> Step {
    switch self {
    case .saveHost: .saveHost(key)
    case .restoreGuest: .restoreGuest(key)
    case .saveGuest: .saveGuest(key)
    case .restoreHost: .restoreHost(key)
    case .resetGuest: .resetGuest(key)
    default: self
    }
  }
}
