import Ptrauth
import Replay

extension ProbePlan {
  /// The correctness rules that a recording by this plan cannot show on a kernel of that generation.
  func notObservable(in generation: Generation) -> [Analysis.NotObservable] {
    planned(keys: samplesKeys).notObservable(in: generation)
  }

  /// The rules that are judged only where the key slots are recorded, by id. Where the generation is not known
  /// those of every generation that such a kernel can have.
  public func rulesOfKeys(generation name: String?) -> [String] {
    let known = name.flatMap { Generation(named: $0) }.map { [$0] }
    let hasPointer = probes.contains { $0.arguments.contains { $0.name == "host_ctxt" } }
    let possible = known ?? Generation.all.filter { $0.hasHostContextPointer == hasPointer }
    let hidden = possible.flatMap { generation in
      let withKeys = planned(keys: true).notObservable(in: generation).map(\.rule)
      return planned(keys: false).notObservable(in: generation).map(\.rule)
        .filter { !withKeys.contains($0) }
    }
    return Analysis.judgedRules.filter(hidden.contains).map(\.id)
  }

  private func planned(keys: Bool) -> PlannedRecording {
    PlannedRecording(
      probes: probesOfKeys.compactMap { probe in
        KernelFunction(rawValue: probe.function).map { function in
          let fields = probe.arguments.map(\.name).filter { keys || !keyFields.contains($0) }
          return PlannedRecording.Probe(function, isReturn: probe.isReturn, fields: fields)
        }
      }, tracepoints: tracepoints)
  }
}
