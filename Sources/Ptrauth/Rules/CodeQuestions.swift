extension Rule {
  /// The questions of the audit that have to be answered well before a kernel's code can be said to keep the
  /// rule. What is not listed stands on all of them.
  public var questions: [CodeCheck.Question] {
    switch self {
    case .partialKeySet: [.keySet, .hostSave]
    case .missingISB: [.isb]
    case .callOutOfHyp: [.confinement]
    case .el2KeysMixed: [.keySet, .base, .isb]
    case .missedHostSave: [.hostSave, .enable]
    case .missedGuestSave: [.keySet, .base, .bits, .registers]
    case .missedGuestRestore: [.keySet, .base, .bits, .copies]
    default: CodeCheck.Question.allCases
    }
  }

  /// The code that the questions are asked of.
  public var part: CodeCheck.Part { self == .el2KeysMixed ? .protectedMode : .scheme }
}
