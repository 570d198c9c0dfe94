import Ptrauth

// A counter is exact where each event that it counts would have been seen: a probe that was never hit may never have been
// on.
extension Replayer {
  func lowerBounds(of counters: Counters) -> CounterSet {
    var bounds: CounterSet = []
    if !capabilities.hasLoadProbe { bounds.insert(.loads) }
    if !probesHit.contains(.vcpuPut) { bounds.insert(.puts) }
    if !probesHit.contains(.injectUndefined) { bounds.insert(.undefs) }
    if !probesHit.contains(.resetVCPU) { bounds.insert(.resets) }
    if !capabilities.hasSysRegTraps, !(capabilities.fetchesESR && probesHit.contains(.handleExit)) {
      bounds.insert(.keyRegister)
    }
    if !samplesEntry { bounds.formUnion([.enabledRuns, .hidden, .hostSaves]) }
    switch generation?.hostSave {
    // Seen by the bits at both ends of a run.
    case .hypTrap where counters.knownRuns < counters.runs: bounds.formUnion([.hidden, .hostSaves])
    case .everyLoad where bounds.contains(.loads): bounds.insert(.hostSaves)
    default: break
    }
    return bounds
  }
}
