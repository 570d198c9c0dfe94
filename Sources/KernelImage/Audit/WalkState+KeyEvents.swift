import Ptrauth

// What happened to the key registers on a path.
extension WalkState {
  var keyEvents: [WalkEvent] {
    events.filter {
      switch $0.kind {
      case .keyRead, .keyWrite, .keyStore: true
      default: false
      }
    }
  }
  var writes: [WalkEvent] {
    events.filter { if case .keyWrite = $0.kind { true } else { false } }
  }
  var reads: [WalkEvent] {
    events.filter {
      switch $0.kind {
      case .keyRead, .keyStore: true
      default: false
      }
    }
  }
  /// Each register that is missing is one whose content the walk lost sight of.
  func hasLostSight(of mistakes: [SlotMap.Mistake]) -> Bool {
    mistakes.allSatisfy { $0.instead == nil && lostKeys.contains($0.register) }
  }

  var touchesKeys: Bool { !keyEvents.isEmpty }

  func wrote(_ key: KeyRegister) -> Bool {
    events.contains { $0.kind == .keyWrite(key) }
  }
}

extension SymbolicValue {
  /// A key, or a word that was loaded.
  var isFromMemory: Bool {
    switch self {
    case .key: return true
    case .address(let address):
      if case .word = address.symbol { return true }
      return false
    default: return false
    }
  }
}
