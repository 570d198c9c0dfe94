import Explorer
import Ptrauth
import Testing

/// Counts worked out by hand, and a walk that must stay among the states found.
struct CountTests {
  /// One vCPU on one pCPU under 5.0, which has no guest ptrauth. Nothing but the thread's place changes:
  ///
  ///     at EL0       on the pCPU: idle, KVM_RUN, INIT, ONE_REG        off: back
  ///     in the loop  on: idle, enter, reset, leave                    off: back
  ///     in the guest two traps, served or not; ID register; interrupt
  ///     in the handler, before its UNDEF  on: idle, UNDEF             off: back
  @Test func withoutPtrauth() {
    let found = Exploration(Setting(.g0), KeyRegister.allCases)
    #expect(found.stateCount == 2 + 2 + 1 + 2)
    #expect(found.transitionCount == (4 + 1) + (4 + 1) + 6 + (2 + 1))
    #expect(found.depth == 5, "KVM_RUN, enter, trap, switched out: on, run, enter, trap, off")
  }

  /// The same under 6.10: every load sets both bits and saves the host's keys.
  ///
  ///     before the first load   at EL0, on and off the pCPU                             2
  ///     loaded                  in the loop, on and off; in the guest with its keys as
  ///                             entered, or newly written                               4
  ///     after it                at EL0, on and off, bits set                            2
  ///     after an INIT           at EL0, on and off, bits clear, slots still saved       2
  @Test func eager() {
    let found = Exploration(Setting(.g6, era: .cWithoutKernel), [.apibLo])
    #expect(found.stateCount == 10)
    // EL0: 4 + 1, three times. Loop: 4 + 1. Guest: PAC, MSR, ID register, interrupt; twice.
    #expect(found.transitionCount == 15 + 5 + 8)
  }

  /// Never packed, so whatever packing lost would lead it astray.
  @Test(arguments: [UInt64(1), 2, 3])
  func aRandomWalkFindsNothingNew(seed: UInt64) {
    var setting = Setting.two(.g2)
    setting.features = [.both, .none]
    setting.tasks = 1
    var found = StateSet()
    _ = Exploration(setting, KeyRegister.allCases, states: &found)
    let world = World(setting, register: .apiaLo)
    let initial = Machine(setting)
    var machine = initial
    var random = SplitMix(state: seed)
    var seen: Set<UInt128> = []
    for _ in 0..<20_000 {
      var next: [Machine] = []
      world.forEachSuccessor(of: machine) { _, after, _ in next.append(after) }
      machine = next[Int(random.next() % UInt64(next.count))]
      let state = machine.packed
      seen.insert(state)
      guard found.contains(state), Machine(packed: state, like: initial).packed == state else {
        Issue.record("left the explored set")
        return
      }
    }
    #expect(seen.count > 500)
  }

  /// Registers are explored one class at a time. A class is right if its members see the same code.
  @Test func registersThatAreTreatedAlike() {
    #expect(Setting(.g2).registerClasses.map(\.count) == [10])
    #expect(Setting(.g3, era: .b).registerClasses.map(\.count) == [2, 8])
    let fault = Fault(name: "partial-host-save")
    #expect(
      fault?.planted(in: Setting(.g2))?.registerClasses == [
        KeyRegister.allCases.filter { $0 != .apdbHi }, [.apdbHi],
      ])
  }

  @Test func automataAreDeterministic() {
    for generation in Generation.all {
      for feature in [Feature.both, .none] {
        let automaton = Automaton(Setting(generation, features: [feature]))
        #expect(automaton.isDeterministic, "\(generation.name) \(feature)")
      }
    }
    let v7 = Automaton(Setting(.g2))
    #expect(v7.initial == "put_off")
    #expect(
      v7.edges.contains {
        $0.from == "put_on" && $0.event == "kvm_arch_vcpu_load" && $0.to == "loaded_off"
      })
    #expect(!v7.edges.contains { $0.event == "kvm_arch_vcpu_load" && $0.to == "loaded_on" })
    // A bit that an interrupted handler sets after a load is legal.
    #expect(
      v7.edges.contains {
        $0.from == "trap0_off" && $0.event == "ptrauth_enable" && $0.to == "trap1_on"
      })
    let eager = Automaton(Setting(.g6))
    #expect(
      eager.edges.filter { $0.event == "kvm_arch_vcpu_load" }.allSatisfy { $0.to == "loaded_on" })
  }
}

/// splitmix64.
struct SplitMix {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}
