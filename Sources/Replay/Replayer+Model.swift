import Observation
import Ptrauth

// Every event of a vCPU that says something about API and APK goes to the model too: what it leaves possible, under the
// generation's own code and under each fault of the table. Where the code itself has no run left for what was seen,
// and no rule tells why, that is a finding of its own.
extension Replayer {
  /// Takes one event of the vCPU to the model.
  mutating func follow(
    _ index: Int, _ kind: Symbol.Kind, _ at: Moment, _ sample: EnableBits? = nil
  ) {
    // Without either the order of what is there is not the order of what happened.
    guard observer != nil, capabilities.hasEntryAndExit, !isUnmodelled(index) else { return }
    if !showsEveryLoad { step(index, Symbol(.unseenLoads)) }
    let symbol = Symbol(kind, sample)
    vcpus[index].model.note(ModelWatch.Sight(symbol: symbol, sample: sample, at: at))
    step(index, symbol)
  }

  private mutating func step(_ index: Int, _ symbol: Symbol) {
    guard let before = vcpus[index].model.belief,
      let update = observer?.update(before, symbol)
    else { return }
    vcpus[index].model.belief = update.belief
    if update.isOutOfPlace {
      vcpus[index].model.contradiction = nil
      return
    }
    if update.expected.isKnown, refuted.isSuperset(of: update.undecided) {
      exercise(.unexplained, index)
    }
    refuted.formUnion(update.refuted)
    guard update.refuted.contains(.standard), vcpus[index].model.contradiction == nil else {
      return
    }
    vcpus[index].model.contradiction = Contradiction(
      vcpu: index, sights: vcpus[index].model.sights, expected: update.expected)
  }

  /// Loads have an event of their own: none is only implied.
  private var showsEveryLoad: Bool { capabilities.hasLoadProbe && probesHit.contains(.vcpuLoad) }

  /// A nested guest's bits are its hypervisor's.
  private func isUnmodelled(_ index: Int) -> Bool {
    guard generation?.nestedBits == .fromGuest else { return false }
    return vcpus[index].isNested || vcpus[index].state.feature == .unknown
  }

  /// What it was sampled to have, as vcpu_has_ptrauth() takes it.
  mutating func followFeature(_ index: Int) {
    guard observer != nil else { return }
    let kind: Symbol.Kind
    switch vcpus[index].state.feature {
    case .both: kind = .hasFeature
    case .none, .partial: kind = .lacksFeature
    case .unknown: return forgetModel(index)
    }
    guard let belief = vcpus[index].model.belief,
      let update = observer?.update(belief, Symbol(kind))
    else { return }
    vcpus[index].model.belief = update.belief
  }

  /// What was known of the vCPU's bits is no longer.
  mutating func forgetModel(_ index: Int) {
    // (Held on to, the tables would be copied by the next update.)
    guard let anything = observer?.anything else { return }
    vcpus[index].model.forget(anything)
    if vcpus[index].state.feature != .unknown { followFeature(index) }
  }
}
