public import Ptrauth

/// What exploring a setting says of every invariant.
public struct Verification: Sendable {
  public let setting: Setting
  public let fault: Fault?
  /// One for each class of registers.
  public let explorations: [Exploration]
  public let outcomes: [(invariant: Invariant, outcome: Outcome)]

  public enum Outcome: Sendable {
    case holds
    case inapplicable(String)
    /// Broken; with the defect's fix, and nothing else changed, it holds.
    case knownDefect(KnownDefect, Counterexample)
    case violated(Counterexample)
    /// Not broken as far as was explored.
    case undecided
  }

  /// - Parameters:
  ///   - setting: without the fault.
  ///   - fault: planted in it; broken is then what holds without it, or lasts longer.
  ///   - limit: of states, per class of registers.
  public init(_ setting: Setting, fault: Fault? = nil, limit: Int = .max) {
    let faulty = fault?.planted(in: setting) ?? setting
    self.setting = faulty
    self.fault = fault
    let explorations = faulty.explorations(limit)
    self.explorations = explorations
    let found = explorations.counterexamples
    let isComplete = explorations.allSatisfy(\.isComplete)
    let clean = fault == nil ? found : setting.explorations(limit).counterexamples
    var repairs: [(KnownDefect, Set<Invariant>)] = []
    if !clean.isEmpty {
      for defect in KnownDefect.all {
        guard let fixed = defect.repaired(setting.generation) else { continue }
        var repaired = setting
        repaired.generation = fixed
        repaired.code = fixed.code
        let left = repaired.explorations(limit).counterexamples
        repairs.append((defect, Set(clean.keys.filter { left[$0] == nil })))
      }
    }
    outcomes = Invariant.allCases.map { invariant in
      guard let counterexample = found[invariant] else {
        if let why = setting.standard.inapplicable(invariant) {
          return (invariant, .inapplicable(why))
        }
        return (invariant, isComplete ? .holds : .undecided)
      }
      let isOld = clean[invariant].map { $0.steps.count <= counterexample.steps.count } ?? false
      if isOld, let defect = repairs.first(where: { $0.1.contains(invariant) })?.0 {
        return (invariant, .knownDefect(defect, counterexample))
      }
      return (invariant, .violated(counterexample))
    }
  }

  public var isComplete: Bool { explorations.allSatisfy(\.isComplete) }
  public var stateCount: Int { explorations.reduce(0) { $0 + $1.stateCount } }
  public var transitionCount: Int { explorations.reduce(0) { $0 + $1.transitionCount } }
  public var useCount: Int { explorations.reduce(0) { $0 + $1.useCount } }
  public var depth: Int { explorations.map(\.depth).max() ?? 0 }

  /// Broken, and by no known defect.
  public var violations: [Counterexample] {
    outcomes.compactMap { if case .violated(let found) = $0.outcome { found } else { nil } }
  }
  public var knownDefects: [(KnownDefect, Counterexample)] {
    outcomes.compactMap {
      if case .knownDefect(let defect, let found) = $0.outcome { (defect, found) } else { nil }
    }
  }
}

extension Setting {
  func explorations(_ limit: Int) -> [Exploration] {
    registerClasses.map { Exploration(self, $0, limit: limit) }
  }
}

extension [Exploration] {
  /// The shortest of each invariant.
  var counterexamples: [Invariant: Counterexample] {
    reduce(into: [:]) { all, exploration in
      all.merge(exploration.counterexamples) { $1.steps.count < $0.steps.count ? $1 : $0 }
    }
  }
}
