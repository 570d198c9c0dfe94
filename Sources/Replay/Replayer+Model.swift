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
    guard observer != nil, !isUnmodelled(index) else { return }
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
    if update.expected.isKnown { exercise(.unexplained, index) }
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
    guard let observer else { return }
    vcpus[index].model.forget(observer.anything)
    if vcpus[index].state.feature != .unknown { followFeature(index) }
  }

  /// The rules that tell why a sample was not what the model left possible.
  private static let explaining: [Rule] = [
    .staleEnable, .trapWhileEnabled, .bitsDiffer, .switchWithoutFeature, .featureDenied,
    .missedHostRestore, .hostKeyLeak, .nestedBitsDiffer, .earlyClear, .wastedTrap,
  ]

  /// How much those rules have told so far.
  var explanations: UInt64 {
    Self.explaining.reduce(UInt64(pendingFindings.total)) { $0 + log.count(of: $1) }
  }

  /// A run was judged: what contradicted the model before its end is told by a rule, or by none.
  mutating func settleContradiction(_ run: OpenRun, explainedBefore: UInt64) {
    guard let found = vcpus[run.vcpu].model.contradiction else { return }
    vcpus[run.vcpu].model.contradiction = nil
    // One event contradicts what was before it; what was before the first is not known.
    guard found.sights.count > 1, explanations == explainedBefore, !run.followsSkippedPlace,
      !silences.isIn(time: found.begin, found.end)
    else { return }
    if contradictions.count < Self.mostContradictions {
      contradictions.append(found)
    } else {
      contradictions[Self.mostContradictions - 1].count += 1
    }
  }

  private static let mostContradictions = 1024

  /// Those that no loss lies in, at the end.
  mutating func commitContradictions() {
    defer { contradictions = [] }
    // What is missing may explain all of it.
    guard let observer, !leavesOutTasks, missingParts.isEmpty else { return }
    let contradictions = contradictions.filter { found in
      guard let first = found.sights.first, let last = found.sights.last else { return false }
      return !mayLackEvents(from: first.at.cpu, until: last.at.time, end: last.at.time)
    }
    for found in contradictions where found.isEarlyClear { commitEarlyClear(found) }
    // Around a loss more may be missing than was said, and what it refuted is not known.
    let isWhole = lossesSeen == 0 && breaks.count(until: lastTime) == 0
    let survivors = observer.hypotheses.enumerated().filter {
      $0.offset > 0 && (!isWhole || !refuted.contains(place: $0.offset))
    }.map(\.element)
    // A fault that all of it fits, and of which its rule told; or one that is proved, whatever else is.
    if survivors.contains(where: { $0.rule.map(log.contains) ?? false })
      || Self.explaining.contains(where: { $0.isCorrectness && log.proves($0) })
    {
      return
    }
    let isRefused = log.contains(.featureDenied) || log.contains(.wastedTrap)
    for found in contradictions where !found.isEarlyClear {
      if found.isUnanswered, isRefused { continue }
      commit(found, survivors)
    }
  }

  private mutating func commit(_ found: Contradiction, _ survivors: [Hypothesis]) {
    guard let generation, let last = found.sights.last else { return }
    let identity = vcpus[found.vcpu].identity
    log.add(.unexplained, .suspected, vcpu: identity, at: last.at, count: found.count) {
      let names = survivors.compactMap(\.fault)
      return (
        "no run of \(generation.name)'s code makes these events"
          + (found.expected.isKnown ? ": it leaves \(words(found.expected))" : "") + "; "
          + (names.isEmpty
            ? "no known fault explains all of the recording"
            : "known faults that explain all of the recording: " + names.joined(separator: ", ")),
        found.sights.map(\.evidence)
      )
    }
    emit?(.finding(.unexplained, .suspected, identity, last.at))
  }

  private mutating func commitEarlyClear(_ found: Contradiction) {
    guard let last = found.sights.last else { return }
    log.add(
      .earlyClear, .proved, vcpu: vcpus[found.vcpu].identity, at: last.at, cost: trapCost,
      count: found.count
    ) {
      (
        "both bits were set at an exit, and clear before the next load",
        found.sights.map(\.evidence)
      )
    }
  }
}

extension ModelWatch.Sight {
  fileprivate var evidence: Evidence {
    let detail = [sample.map { "shadow \(words($0))" }, symbol.kind.detail]
    return Evidence(at, symbol.kind.event, detail.compactMap(\.self).joined(separator: ", "))
  }
}
