import Explorer
import Ptrauth
import Testing

/// Every wrong fact and every wrong line of code changes what the explorer finds, or is argued to be
/// no error here.
struct MutationTests {
  struct Mutant {
    var name: String
    var generation: Generation
    var code: Code
  }

  /// What is broken in a setting, and whether a guest ever gets to use pointer authentication.
  private struct Verdict: Equatable {
    var broken: [Invariant]
    var isUsed: Bool
  }

  /// In a few small settings: enough of them for every fact to matter.
  private func verdicts(_ mutant: Mutant, standard: Generation) -> [Verdict] {
    settings(standard).map { setting in
      var setting = setting
      setting.generation = mutant.generation
      setting.code = mutant.code
      setting.standard = standard
      let found = setting.registerClasses.map { Exploration(setting, $0) }
      let broken = found.reduce(into: Invariants()) { all, exploration in
        for invariant in exploration.counterexamples.keys { all.insert(invariant) }
      }
      return Verdict(broken: broken.list, isUsed: found.contains { $0.useCount > 0 })
    }
  }

  private func settings(_ generation: Generation) -> [Setting] {
    var list: [Setting] = []
    for era in generation.eras { list.append(Setting(generation, era: era, cpus: 2)) }
    for feature in [Feature.none, .partial] {
      list.append(Setting(generation, features: [feature]))
    }
    var noVHE = Setting(generation)
    noVHE.host.hasVHE = false
    var noGeneric = Setting(generation, features: [.both])
    noGeneric.host.generic = false
    list += [noVHE, noGeneric, Setting(generation, features: [.both, .both])]
    if generation.nestedBits == .fromGuest {
      var nested = Setting(generation)
      nested.isNested = true
      list.append(nested)
    }
    return list
  }

  /// The mutants that no verdict tells from the right generation.
  private func survivors(_ mutants: [Mutant], of generation: Generation) -> [String] {
    let right = verdicts(
      Mutant(name: "", generation: generation, code: generation.code), standard: generation)
    return mutants.filter { verdicts($0, standard: generation) == right }.map(\.name)
  }

  @Test(arguments: Generation.all)
  func everyWrongFactIsFoundOrNoError(generation: Generation) {
    let mutants = factMutants(generation)
    #expect(mutants.count > 20)
    for name in survivors(mutants, of: generation) {
      #expect(noError(name, in: generation) != nil, "\(generation.name): \(name)")
    }
  }

  @Test(arguments: [Generation.g1, .g2, .g3s, .g4, .g4Live, .g6])
  func everyWrongLineIsFound(generation: Generation) {
    let mutants = lineMutants(generation)
    #expect(mutants.count > 15)
    #expect(survivors(mutants, of: generation) == [], "\(generation.name)")
  }

  /// Why a generation with this fact instead of its own still switches keys rightly.
  private func noError(_ fact: String, in g: Generation) -> String? {
    if g.featureTest == .never { return "no guest has ptrauth: no line of the switch is ever run" }
    let savesWell = g.hostSave != .preemptibleTrap
    return switch fact {
    case "hostSave everyEntry" where savesWell, "hostSave everyLoad" where savesWell:
      "as right a place, with other costs; TransitionTests.whereTheHostIsSaved tells them apart"
    case "trap handledAtHyp" where savesWell: "the keys are saved elsewhere; it saves an exit"
    case "guardReads live", "guardReads shadow": "in every pass HCR_EL2 is the shadow (I10)"
    case "hasHostContextPointer": "every load points it at the pCPU's own context"
    case "exitSynchronizes" where g.eras.allSatisfy({ !$0.apia.kernelUses }):
      "nobody uses the keys before the ERET to EL0"
    case "resetCheck none",
      "resetCheck unwinds" where g.resetCheck == .none:
      "a vCPU that asked in vain is refused, or runs without ptrauth; the switch is right either way"
    case "nestedBits fromGuest": "only adds lines for nested guests, and there are none"
    case "idMask never" where g.featureTest == .hostAlone: "every vCPU has what the host has"
    case "protectedKeys own", "protectedKeys hosts":
      "EL2's own keys are not explored; TransitionTests.protectedKeys tells them apart"
    default: nil
    }
  }

  private func factMutants(_ generation: Generation) -> [Mutant] {
    var list: [Mutant] = []
    func add(_ name: String, _ change: (inout Generation) -> Void) {
      var wrong = generation
      change(&wrong)
      if wrong != generation {
        list.append(Mutant(name: name, generation: wrong, code: wrong.code))
      }
    }
    func every<T: CaseIterable & Equatable>(_ name: String, _ path: WritableKeyPath<Generation, T>)
    {
      for value in T.allCases { add("\(name) \(value)") { $0[keyPath: path] = value } }
    }
    every("load", \.load)
    every("hostSave", \.hostSave)
    every("trap", \.trap)
    every("guardReads", \.guardReads)
    every("featureTest", \.featureTest)
    every("resetCheck", \.resetCheck)
    every("idMask", \.idMask)
    every("nestedBits", \.nestedBits)
    every("protectedKeys", \.protectedKeys)
    for (name, path) in [
      ("hasHostContextPointer", \Generation.hasHostContextPointer),
      ("exitSynchronizes", \.exitSynchronizes), ("supportsNVHE", \.supportsNVHE),
      ("hidesKeyRegisters", \.hidesKeyRegisters),
    ] { add(name) { $0[keyPath: path].toggle() } }
    return list
  }

  private func lineMutants(_ generation: Generation) -> [Mutant] {
    let code = generation.code.seen(by: .apiaLo)
    var list: [Mutant] = []
    let functions: [(String, WritableKeyPath<Code, [Line]>)] = [
      ("reset", \.reset), ("load", \.load), ("activateTraps", \.activateTraps),
      ("guestEnter", \.guestEnter), ("guestExit", \.guestExit), ("hypTrap", \.hypTrap),
      ("hostTrap", \.hostTrap),
    ]
    for (name, path) in functions {
      func add(_ what: String, _ change: (inout [Line]) -> Void) {
        var wrong = code
        change(&wrong[keyPath: path])
        if wrong != code {
          list.append(Mutant(name: "\(name): \(what)", generation: generation, code: wrong))
        }
      }
      for (i, line) in code[keyPath: path].enumerated() {
        add("no \(line.step)") { $0.remove(at: i) }
        add("unconditional \(line.step)") { $0[i].when = [] }
        add("never \(line.step)") { $0[i].when.insert(.never) }
        if i > 0 { add("\(line.step) earlier") { $0.swapAt(i, i - 1) } }
        if case .enable = line.step {
          add("API alone") { $0[i].step = .enable(api: true, apk: false) }
          add("APK alone") { $0[i].step = .enable(api: false, apk: true) }
        }
      }
    }
    return list
  }
}
