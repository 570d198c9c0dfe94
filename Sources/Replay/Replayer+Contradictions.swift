import Observation
import Ptrauth

// What no run of the generation's code makes: told by a rule that has its own proof; by the faults of the table under which all
// of the recording could have happened; or by none.
extension Replayer {
  /// The rules that tell why a sample was not what the model left possible.
  static let explaining: [Rule] = [
    .staleEnable, .trapWhileEnabled, .bitsDiffer, .switchWithoutFeature, .featureDenied,
    .missedHostRestore, .hostKeyLeak, .nestedBitsDiffer, .earlyClear, .wastedTrap,
  ]

  /// How much those rules have told so far.
  var explanations: UInt64 {
    UInt64(pendingFindings.total + nestedDifferences.count) + log.explanations
      + unentered.explanations
  }

  /// A run was judged: what contradicted the model before its end is told by a rule, or by none.
  mutating func settleContradiction(_ run: OpenRun, explainedBefore: UInt64) {
    let isTold = explanations != explainedBefore || run.followsSkippedPlace
    settleContradiction(of: run.vcpu, isTold: isTold)
  }

  mutating func settleContradiction(of index: Int, isTold: Bool) {
    guard let found = vcpus[index].model.contradiction else { return }
    vcpus[index].model.contradiction = nil
    // One event contradicts what was before it; what was before the first is not known.
    guard !isTold, found.sights.count > 1, !silences.isIn(time: found.begin, found.end) else {
      return
    }
    if contradictions.count < Self.mostContradictions {
      contradictions.append(found)
    } else {
      contradictions[Self.mostContradictions - 1].count += 1
    }
  }

  private static let mostContradictions = 1024

  /// Those that no loss lies in, at the end.
  mutating func commitContradictions() {
    // Behind its last run a vCPU has events too.
    for index in vcpus.indices {
      settleContradiction(of: index, isTold: threads[vcpus[index].tid]?.skippedAPlace ?? false)
    }
    defer { contradictions = [] }
    // What is missing may explain all of it, and so may a host that runs the same code otherwise.
    guard let observer, !leavesOutTasks, missingParts.isEmpty,
      refutations.refuted.isSuperset(of: observer.standards)
    else { return }
    let contradictions = contradictions.filter { found in
      guard let first = found.sights.first, let last = found.sights.last else { return false }
      // A trail that is not full begins behind a wall.
      let from = found.sights.count < ModelWatch.remembered ? nil : first.at.cpu
      let isWhole = !mayLackEvents(from: from, until: last.at.time, end: last.at.time)
      if !isWhole { leaveUndecided([.unexplained]) }
      return isWhole
    }
    // Where loads set the bits, a guest that finds them clear is denied what it has.
    let clears = generation?.load == .clears
    for found in contradictions where clears && found.isEarlyClear { commitEarlyClear(found) }
    // Around a loss more may be missing than was said, and what it refuted is not known.
    let isWhole = lossesSeen == 0 && breaks.count(until: lastTime) == 0
    let faults = observer.hypotheses.enumerated().filter { $0.element.fault != nil }
    let survivors =
      isWhole
      ? faults.filter { !refutations.refuted.contains(place: $0.offset) }.map(\.element) : []
    // A fault that all of it fits, and of which its rule told; or one that is proved, whatever else is.
    if (isWhole ? survivors : faults.map(\.element))
      .contains(where: { $0.rule.map(log.contains) ?? false })
      || Self.explaining.contains(where: { $0.isCorrectness && log.proves($0) })
    {
      return
    }
    let isRefused = log.contains(.featureDenied) || log.contains(.wastedTrap)
    for found in contradictions where !(clears && found.isEarlyClear) {
      if found.isUnanswered, isRefused { continue }
      commit(found, survivors, isWhole)
    }
  }

  /// By the rules of the faults that all of the recording fits; if there are none, or one of them has no rule, it is
  /// unexplained.
  private mutating func commit(_ found: Contradiction, _ survivors: [Hypothesis], _ isWhole: Bool) {
    guard let generation, let last = found.sights.last else { return }
    let rules = survivors.compactMap(\.rule)
    // Where guards read HCR_EL2, say, a fault breaks another rule than the one that reports it elsewhere.
    let isNamed =
      !rules.isEmpty && rules.count == survivors.count
      && rules.allSatisfy { impossibility(of: $0, in: generation) == nil }
    let names = survivors.compactMap(\.fault).joined(separator: ", ")
    let identity = vcpus[found.vcpu].identity
    for rule in isNamed ? Rule.all.filter(rules.contains) : [.unexplained] {
      log.add(rule, .suspected, vcpu: identity, at: last.at, count: found.count) {
        (
          "no run of \(generation.name)'s code makes these events"
            + (found.expected.isKnown ? ": it leaves \(words(found.expected))" : "") + "; "
            + (names.isEmpty
              ? "no known fault "
                + (isWhole ? "explains all of the recording" : "is known to explain it")
              : "known faults that explain all of the recording: " + names),
          found.sights.map(\.evidence)
        )
      }
      emit?(.finding(rule, .suspected, identity, last.at))
    }
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
