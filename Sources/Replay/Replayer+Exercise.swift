import Ptrauth

// Judged means exercised, and by how many vCPUs.
extension Replayer {
  /// What did not occur. Nil: it did, or it takes none (the fault is an event of its own).
  func unexercised(_ rule: Rule) -> Obstacle? {
    if let pair = fetchChecks.disagreements.first(where: { $0.field.rules.contains(rule) }) {
      return .notRecorded(
        reason:
          "\(pair.earlier.rawValue) and \(pair.later.rawValue) fetch different values of \(pair.field.words)",
        remedy: "set the probes of this kernel: ptrauth-trace probes -k vmlinux")
    }
    if let reason = undecided[rule], !log.contains(rule) {
      return .notRecorded(reason: reason.words, remedy: reason.remedy)
    }
    if generation?.hasHostContextPointer ?? false, !log.contains(rule),
      let doubt = doubtOfContexts(rule)
    {
      return doubt
    }
    guard let situation = Situation(rule), exercised[situation] == 0, !log.contains(rule) else {
      return nil
    }
    return .notRecorded(
      reason: "it did not occur that " + situation.words, remedy: situation.remedy)
  }

  /// What looked like these rules were broken is no finding, as the end of a pCPU's events may be missing.
  mutating func leaveUndecided(_ rules: [Rule]) {
    for rule in rules { undecided.note(rule, .silentEnd) }
  }

  /// Slots are sampled through the vCPU's pointer: if that is another pCPU's, they are not those that guest exit restores
  /// from.
  private func doubtOfContexts(_ rule: Rule) -> Obstacle? {
    if FetchChecks.Field.hostContext.rules.contains(rule),
      let (lower, higher) = hostContexts.disorder
    {
      return .notRecorded(
        reason:
          "the host context of pCPU \(lower.at.cpu) lies behind that of pCPU \(higher.at.cpu), so that each may be "
          + "another pCPU's, and the slots sampled not those that guest exit restores from",
        remedy:
          "probe the handler of the traps and handle_exit with host_ctxt and the host's ten key slots, for longer"
      )
    }
    guard rule == .staleHostContext,
      let unseen = cpus.all.filter({ $0.value.hasEvents && !hostContexts.isKnown(on: $0.key) })
        .keys.min()
    else { return nil }
    return .notRecorded(
      reason:
        "the host context of pCPU \(unseen) was not seen: if each pCPU had the next one's, it would show there",
      remedy: "record vCPUs that run on every pCPU")
  }

  /// The fault of its rule would have shown now, in this vCPU.
  mutating func exercise(_ situation: Situation, _ index: Int) {
    exercised.note(situation)
    vcpus[index].exercised.note(situation)
  }

  /// What the judged rules stand on.
  func coverage(_ judged: [Rule]) -> [Analysis.Coverage] {
    judged.compactMap { rule in
      guard let situation = Situation(rule) else { return nil }
      let concerned = vcpus.indices.filter { situation.concerns(vcpus[$0]) ?? false }
      // Where its fault was found, it would have shown.
      let found = log.sorted().filter { $0.rule == rule }
      let broken = Set(found.flatMap(\.vcpus).map(\.identity))
      let seen = concerned.count {
        vcpus[$0].exercised[situation] > 0 || broken.contains(vcpus[$0].identity)
      }
      let isOfVCPUs = !concerned.isEmpty && vcpus.allSatisfy { situation.concerns($0) != nil }
      return Analysis.Coverage(
        rule: rule, situations: max(exercised[situation], found.reduce(0) { $0 + $1.count }),
        vcpus: isOfVCPUs ? Analysis.Coverage.VCPUs(seen: seen, concerned: concerned.count) : nil)
    }
  }

  /// What one complete run shows, whatever it is.
  mutating func noteExercise(_ run: OpenRun) {
    guard run.exit != nil else { return }
    let feature = vcpus[run.vcpu].state.feature
    if let sample = run.entrySample, sample.isKnown {
      if sample.switchesKeys == .set {
        exercise(.bitsDiffer, run.vcpu)
        if run.isRetry, run.certainlyEntered { exercise(.trapWhileEnabled, run.vcpu) }
        if generation.map({ $0.trap != .reachesHost }) ?? false, feature == .both {
          exercise(.featureDenied, run.vcpu)
        }
      }
      if run.exitIsAtSync, run.exitSample?.isKnown ?? false, run.certainlyEntered,
        sample.switchesKeys == .clear
      {
        exercise(.hostKeyLeak, run.vcpu)
      }
      if feature == .none || feature == .partial { exercise(.switchWithoutFeature, run.vcpu) }
    }
    let bits = run.entrySample ?? run.exitSample ?? .unknown
    if bits.switchesKeys != .clear { vcpus[run.vcpu].isUnused = false }
  }
}
