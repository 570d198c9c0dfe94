import Observation
import Ptrauth

// kvm tracepoints alone: what the model makes of them, forwards and backwards, under every hypothesis that the recording has
// not refuted.
extension Replayer {
  /// What can be said of the runs that wait. `lostSince`: events are missing from this time (ns) on.
  mutating func tellUnsaid(_ index: Int, lostSince: UInt64 = .max) {
    guard !vcpus[index].unsaid.isEmpty, var hypotheses = observer?.all else { return }
    hypotheses.subtract(refutations.refuted)
    var unsaid = vcpus[index].unsaid
    // (Held on to, its arrays would be copied.)
    vcpus[index].unsaid = UnsaidRuns()
    let runs = observer.mutate { unsaid.take(&$0, hypotheses, lostSince: lostSince) }
    vcpus[index].unsaid = unsaid
    for run in runs ?? [] { say(run, index) }
  }

  /// Of a run that is over.
  mutating func keepUnsaid(_ run: Run, _ steps: UnsaidRuns.Steps, _ index: Int) {
    guard observer != nil, !capabilities.samplesShadow else { return say(run, index) }
    vcpus[index].unsaid.add(run, steps)
    if vcpus[index].unsaid.areMany { tellUnsaid(index) }
  }

  /// Every use of a vCPU without the feature is answered with UNDEF.
  func lacksFeature(_ vcpu: VCPURecord) -> Bool {
    guard let observer, let belief = vcpu.model.belief, !capabilities.samplesShadow else {
      return false
    }
    return observer.feature(belief, of: observer.all.subtracting(refutations.refuted)) == .clear
  }
}

extension Optional where Wrapped == Observer {
  /// In place: a copy of its tables would be one of megabytes.
  fileprivate mutating func mutate<T>(_ body: (inout Observer) -> T) -> T? {
    switch consume self {
    case nil:
      self = nil
      return nil
    case var observer?:
      let result = body(&observer)
      self = observer
      return result
    }
  }
}
