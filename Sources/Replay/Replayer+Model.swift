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
    let symbol = Symbol(kind, sample)
    guard capabilities.samplesShadow else {
      if kind.isLoad ? !showsEveryLoad : !showsLoads { trace(index, Symbol(.unseenLoads)) }
      return trace(index, symbol)
    }
    guard !configuration.generationIsWeak else { return }
    if !showsEveryLoad { step(index, Symbol(.unseenLoads)) }
    vcpus[index].model.note(ModelWatch.Sight(symbol: symbol, sample: sample, at: at))
    if kind == .entry { vcpus[index].model.entered = at }
    step(index, symbol)
    if kind.isLoad { vcpus[index].model.entered = nil }
  }

  /// Where nothing is sampled, and kvm_vgic_sync_hwstate did not come, the passes of a run lie before its kvm_exit.
  mutating func followPasses(_ index: Int, _ thread: ThreadRecord, _ at: Moment) {
    guard thread.run?.steps.exit == nil else { return }
    follow(index, .sync, at)
    thread.run?.steps.exit = vcpus[index].unsaid.trellis.end - 1
  }

  /// A guest that is answered goes on with the instruction that trapped, and behind one that was emulated. Up to 5.10 an
  /// exception is injected at once (kvm_inject_undefined), and the next kvm_entry shows its vector; later EL2 does it behind
  /// that. Anywhere else goes only a vCPU that was reset meanwhile.
  mutating func followPC(_ index: Int, _ at: Moment, _ pc: UInt64, after run: OpenRun) {
    guard run.vcpu == index, run.exit != nil, pc != run.exitPC else { return }
    let isNext = pc == run.exitPC &+ 4
    if isNext, run.mayBeKeyTrap {
      follow(index, .wasOtherRegister, at)
    } else if Self.synchronousVectors.contains(pc & 0x7ff) {
      if run.mayBeTrap { follow(index, .injected, at) }
    } else if !isNext {
      follow(index, .unseenLoads, at)
    }
  }

  /// From VBAR_EL1: of EL1 with its own stack, and of EL0 in either execution state (Arm ARM, D1.3.1.5).
  private static let synchronousVectors: [UInt64] = [0x200, 0x400, 0x600]

  /// The vCPU's belief behind an event, and the one before it.
  private mutating func advance(_ index: Int, _ symbol: Symbol) -> (before: Belief, update: Update)?
  {
    guard let before = vcpus[index].model.belief,
      let update = observer?.update(before, symbol)
    else { return nil }
    vcpus[index].model.belief = update.belief
    return (before, update)
  }

  /// Of events that sample nothing: what they prove of the bits is asked for later.
  private mutating func trace(_ index: Int, _ symbol: Symbol) {
    guard let (before, update) = advance(index, symbol) else { return }
    if update.isOutOfPlace {
      tellUnsaid(index)
    } else {
      refutations.note(update.refuted, lastTime)
    }
    vcpus[index].unsaid.trellis.append(before, symbol, update.belief)
  }

  private mutating func step(_ index: Int, _ symbol: Symbol) {
    guard let update = advance(index, symbol)?.update else { return }
    if update.isOutOfPlace { return vcpus[index].model.breakOff() }
    guard vcpus[index].model.entered != nil else { return }
    if update.expected.isKnown, refutations.refuted.isSuperset(of: update.undecided) {
      exercise(.unexplained, index)
    }
    refutations.note(update.refuted, lastTime)
    guard update.refuted.contains(.standard) else { return }
    let found = Contradiction(
      vcpu: index, sights: vcpus[index].model.sights, expected: update.expected)
    // Bits that went too early are a cost. That they came back, with no trap, is not told by it.
    if let earlier = vcpus[index].model.contradiction {
      guard earlier.isEarlyClear, generation?.load == .clears, found.comesFromNothing else {
        return
      }
      settleContradiction(of: index, isTold: false)
    }
    vcpus[index].model.contradiction = found
  }

  /// Loads have an event of their own: none is only implied.
  var showsEveryLoad: Bool { capabilities.hasLoadProbe && probesHit.contains(.vcpuLoad) }

  /// A nested guest's bits are its hypervisor's, and change without an event.
  private func isUnmodelled(_ index: Int) -> Bool {
    guard generation?.nestedBits == .fromGuest else { return false }
    if vcpus[index].state.feature != .unknown { return vcpus[index].isNested }
    return capabilities.samplesShadow || sawNested || !capabilities.hasNestedEvents
  }

  var seesLoads: Bool { generation != nil && showsLoads }

  /// Each load is recorded, or implied by what is.
  var showsLoads: Bool {
    showsEveryLoad || (capabilities.hasSchedSwitch && capabilities.hasUserspaceExit)
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
    if !capabilities.samplesShadow { return trace(index, Symbol(kind)) }
    _ = advance(index, Symbol(kind))
  }

  /// What was known of the vCPU's bits is no longer.
  mutating func forgetModel(_ index: Int) {
    tellUnsaid(index)
    // (Held on to, the tables would be copied by the next update.)
    guard let anything = observer?.anything else { return }
    vcpus[index].model.forget(anything)
    if vcpus[index].state.feature != .unknown { followFeature(index) }
  }
}
