import Explorer
import Ptrauth
import Testing

extension Setting {
  /// `vcpus` vCPUs with ptrauth on two pCPUs.
  static func two(_ generation: Generation, era: Era? = nil, vcpus: Int = 2) -> Setting {
    Setting(generation, era: era, features: Array(repeating: .both, count: vcpus), cpus: 2)
  }

  /// What every class of registers together breaks.
  var broken: [Invariant] {
    var all = Invariants()
    for registers in registerClasses {
      for invariant in Exploration(self, registers).counterexamples.keys { all.insert(invariant) }
    }
    return all.list
  }
}

struct ExplorationTests {
  @Test func v7IsBrokenByThePreemptibleHostSave() {
    #expect(
      Setting.two(.g2).broken == [
        .hostSavedBeforeEntry, .exitRestoresHost, .hostRunsOnItsKeys, .saveNotInterrupted,
      ])
  }

  @Test func threadsOfOneProcessHideItFromUserspace() {
    var setting = Setting.two(.g2)
    setting.isOneVMM = true
    #expect(setting.broken == [.saveNotInterrupted], "the same keys, whoever saved them")
    // Not where every task has an APIA of its own.
    setting = Setting.two(.g3, era: .b)
    setting.isOneVMM = true
    #expect(setting.broken.contains(.hostRunsOnItsKeys))
  }

  @Test func withoutPreemptionOnlyTheLoopIsLeft() {
    var setting = Setting.two(.g2)
    setting.preemptsHandler = false
    #expect(setting.broken == [.saveNotInterrupted], "after the handler, before the next entry")
  }

  @Test(arguments: Generation.all.filter { $0.hostSave != .preemptibleTrap })
  func everyOtherGenerationHolds(generation: Generation) {
    for era in generation.eras {
      #expect(Setting.two(generation, era: era).broken == [], "\(generation.name), \(era.name)")
    }
  }
}
