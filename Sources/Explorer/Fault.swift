public import Ptrauth

/// A fault that can be planted: an edit of a generation's code, or of a fact about its surroundings,
/// in a setting where it shows. Adding one is adding a value (FaultTable.swift).
public struct Fault: Sendable {
  public let name: String
  public let words: String
  /// The rule that reports it from a recording; nil: no recording shows it, see ``hidden``.
  public let rule: Rule?
  /// Why no event shows it; nil where a rule does.
  public internal(set) var hidden: String?
  /// Where it is explored unless asked otherwise.
  public let generation: Generation
  public var era: Era?
  public var features: [Feature] = [.both, .both]
  public var isNested = false
  /// It needs a trap handler that is preempted. Others are shown without: known defects then are quiet,
  /// and no enable can be one that an interrupted handler still owed.
  public var preempts = false
  /// What it breaks that a recording shows best.
  public let breaks: Invariant
  /// Which use the guest tries first: among equally short counterexamples, one that shows in a recording.
  public var firstUse = Action.Use.instruction
  let edit: @Sendable (inout Generation, inout Code) -> Void

  /// The setting with the fault planted; nil where its generation has nothing to break this way.
  public func planted(in setting: Setting) -> Setting? {
    var faulty = setting
    edit(&faulty.generation, &faulty.code)
    return faulty.code == setting.code && faulty.generation == setting.generation ? nil : faulty
  }

  public init?(name: String) {
    guard let found = Self.all.first(where: { $0.name == name }) else { return nil }
    self = found
  }

  package init(
    _ name: String, _ words: String, _ breaks: Invariant, _ rule: Rule?,
    in generation: Generation,
    _ edit: @escaping @Sendable (inout Generation, inout Code) -> Void
  ) {
    self.name = name
    self.words = words
    self.breaks = breaks
    self.rule = rule
    self.generation = generation
    self.edit = edit
  }

  func with(_ change: (inout Fault) -> Void) -> Fault {
    var copy = self
    change(&copy)
    return copy
  }
}

extension [Line] {
  mutating func drop(_ isIt: (Step) -> Bool) { removeAll { isIt($0.step) } }
  mutating func change(_ isIt: (Step) -> Bool, _ edit: (inout Line) -> Void) {
    for i in indices where isIt(self[i].step) { edit(&self[i]) }
  }
}

extension Step {
  var isEnable: Bool { if case .enable = self { true } else { false } }
  var isSaveHost: Bool { if case .saveHost = self { true } else { false } }
  var isSaveGuest: Bool { if case .saveGuest = self { true } else { false } }
  var isRestoreGuest: Bool { if case .restoreGuest = self { true } else { false } }
  var isRestoreHost: Bool { if case .restoreHost = self { true } else { false } }
}

extension Fault {
  /// Where it is explored unless asked otherwise: two pCPUs, no other tasks; without the fault.
  public var setting: Setting {
    var setting = Setting(generation, era: era, features: features, cpus: 2)
    setting.isNested = isNested
    setting.firstUse = firstUse
    setting.preemptsHandler = preempts
    return setting
  }
}
