public import Ptrauth
import Trace

/// A recording that is yet to be made, of which every event is hit: which rules it cannot show is known before.
public struct PlannedRecording: Sendable {
  public struct Probe: Sendable {
    public var function: KernelFunction
    public var isReturn: Bool
    /// By their canonical names.
    public var fields: [String]

    public init(_ function: KernelFunction, isReturn: Bool, fields: [String]) {
      self.function = function
      self.isReturn = isReturn
      self.fields = fields
    }
  }

  public var probes: [Probe]
  /// "system:name".
  public var tracepoints: [String]

  public init(probes: [Probe], tracepoints: [String]) {
    self.probes = probes
    self.tracepoints = tracepoints
  }

  /// The correctness rules that this generation can break and the recording cannot show.
  public func notObservable(in generation: Generation) -> [Analysis.NotObservable] {
    var configuration = Replayer.Configuration()
    configuration.generation = generation
    configuration.resolve = { _ in nil }
    configuration.recordedEvents =
      probes.map {
        RecordedEvent(
          system: "ptrauth", name: $0.function.rawValue, isProbe: true, fields: $0.fields)
      }
      + tracepoints.compactMap { name in
        let parts = name.split(separator: ":").map(String.init)
        guard parts.count == 2 else { return nil }
        return RecordedEvent(system: parts[0], name: parts[1], isProbe: false, fields: [])
      }
    var replayer = Replayer(configuration)
    replayer.probesHit = FunctionSet(probes.filter { !$0.isReturn }.map(\.function))
    replayer.returnsHit = FunctionSet(probes.filter(\.isReturn).map(\.function))
    // What will occur is not known; that it does is the workload's part.
    replayer.exercised = .all
    return replayer.notObservable().filter {
      $0.applies && $0.rule.isCorrectness && $0.rule.isJudged(by: .events)
    }
  }
}
