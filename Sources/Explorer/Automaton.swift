import Ptrauth

/// One vCPU's part of the explored graph: where its thread is and what API and APK are, by the events
/// that lead from one to the next. Made from the exploration, so it shows what the code does.
///
///     put_off ─kvm_arch_vcpu_load▶ loaded_off ─kvm_entry▶ guest_off ─kvm_exit_ptrauth▶ trap0_off ...
public struct Automaton: Sendable {
  public struct Edge: Sendable, Hashable {
    public var from: String
    public var event: String
    public var to: String
  }

  public let initial: String
  /// Sorted, the initial one first.
  public let states: [String]
  /// Sorted.
  public let edges: [Edge]

  /// No event leads from a state to two others.
  public var isDeterministic: Bool {
    Set(edges.map { [$0.from, $0.event] }).count == edges.count
  }

  /// - Parameter setting: its first vCPU is shown, alone on one pCPU.
  public init(_ setting: Setting) {
    var alone = setting
    alone.features = Array(setting.features.prefix(1))
    (alone.cpus, alone.tasks) = (1, 0)
    var edges: Set<Edge> = []
    var names: Set<String> = []
    for registers in alone.registerClasses {
      var found = StateSet()
      _ = Exploration(alone, registers, states: &found)
      let world = World(alone, register: registers.first ?? .apiaLo)
      let start = Machine(alone)
      for state in found.states {
        let machine = Machine(packed: state, like: start)
        let from = Self.name(machine)
        names.insert(from)
        world.forEachSuccessor(of: machine) { action, after, _ in
          let to = Self.name(after)
          names.insert(to)
          guard let event = world.event(action, machine, after) else { return }
          edges.insert(Edge(from: from, event: event, to: to))
        }
      }
    }
    let first = Self.name(Machine(alone))
    initial = first
    states = [first] + names.subtracting([first]).sorted()
    self.edges = edges.sorted { ($0.from, $0.event, $0.to) < ($1.from, $1.event, $1.to) }
  }

  private static func name(_ m: Machine) -> String {
    let isHere = m.current[0] == 0
    let place: String =
      switch m.threads[0].place {
      case .userspace: "put"
      case .loop: isHere ? "loaded" : "put"
      case .guest: "guest"
      case .handler(let line): (isHere ? "trap" : "preempted") + String(line)
      }
    let bits: String =
      switch (m.vcpus[0].bits.api, m.vcpus[0].bits.apk) {
      case (.set, .set): "on"
      case (.set, _): "api"
      case (_, .set): "apk"
      default: "off"
      }
    return place + "_" + bits + (m.vcpus[0].nestedBits == nil ? "" : "_nested")
  }
}

extension World {
  /// The event of the vCPU that an action is; nil if its vCPU notices nothing.
  fileprivate func event(_ action: Action, _ m: Machine, _ after: Machine) -> String? {
    switch action {
    case .switchTask(_, let next):
      if m.threads[0].place == .userspace { return nil }
      return next == 0 ? "kvm_arch_vcpu_load" : "kvm_arch_vcpu_put"
    case .run: return "kvm_arch_vcpu_load"
    case .leave: return "kvm_arch_vcpu_put"
    case .initialize, .reset: return "kvm_reset_vcpu"
    case .readOneReg, .use: return nil
    case .enter: return "kvm_entry"
    case .trap(_, _, let isServed):
      if isServed, after.threads[0].place == .guest { return "ptrauth_trap_el2" }
      return isServed ? "kvm_exit_ptrauth" : "kvm_exit_serror"
    case .readIDRegister, .interrupt: return "kvm_exit"
    case .nest(_, let bits): return bits < 0 ? "kvm_inject_nested" : "kvm_nested_eret_\(bits)"
    case .handle:
      guard case .handler(let line) = m.threads[0].place else { return nil }
      switch code.hostTrap[line].step {
      case .enable: return "ptrauth_enable"
      case .readHostContext, .readOwnContext: return "ptrauth_read_context"
      case .saveHost: return "ptrauth_save_host"
      case .injectUndefined: return "kvm_inject_undefined"
      case .injectNested: return "kvm_inject_nested"
      default: return "ptrauth_step"
      }
    }
  }
}
