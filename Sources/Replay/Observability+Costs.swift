import Ptrauth

extension Replayer {
  /// What hides a cost rule.
  func hiddenCost(_ rule: Rule, _ generation: Generation) -> Obstacle? {
    switch rule {
    // A trap that the function tracer shows proves the feature too, and the bits behind it.
    case .redundantSwitch, .lazyThrash, .fastReentry:
      if probesHit.contains(.hypHandlePtrauth), seesLoads { return nil }
    default: break
    }
    switch rule {
    case .redundantSwitch: return samplesEntry ? nil : noShadow
    case .redundantHostSave where log.hasSkippedSaves:
      return .notRecorded(
        reason: "missed-host-save was found: a trap, or a load, does not say that keys were saved",
        remedy: "mend that first")
    case .undefStorm, .shortLoad, .wastedTrap:
      return capabilities.samplesFeatures ? nil : noFeature
    case .eagerUnused where generation.trap == .never:
      if configuration.generationIsWeak { return isGuess }
      return .notRecorded(
        reason: "\(generation.name) does not trap: no event tells whether the guest used ptrauth",
        remedy: "ask the guest")
    default:
      if !samplesEntry { return noShadow }
      return capabilities.samplesFeatures ? nil : noFeature
    }
  }
}
