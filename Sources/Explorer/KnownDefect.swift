public import Ptrauth

/// Something a generation does wrong by design, and the change that ended it.
public struct KnownDefect: Sendable, Hashable {
  public let name: String
  public let words: String
  /// The commit that ended it.
  public let fixedBy: String
  public let fixedWords: String

  /// The generation with the change applied; nil if it does not have the defect.
  public func repaired(_ generation: Generation) -> Generation? {
    var fixed = generation
    switch kind {
    case .preemptibleSave:
      guard generation.hostSave == .preemptibleTrap else { return nil }
      fixed.hostSave = .everyLoad
    case .earlyReturn:
      guard generation.resetCheck == .returnsEarly else { return nil }
      fixed.resetCheck = .unwinds
    }
    return fixed
  }

  private let kind: Kind
  private enum Kind: Sendable, Hashable { case preemptibleSave, earlyReturn }

  public static let all = [
    KnownDefect(
      name: "preemptible-host-save",
      words: "the trap handler, which saves the host's keys, can be preempted",
      fixedBy: "ef3e40a7ea8d", fixedWords: "save at load, preemption off", kind: .preemptibleSave),
    KnownDefect(
      name: "reset-returns-early",
      words: "kvm_reset_vcpu refuses one feature of two by a bare return, preemption disabled",
      fixedBy: "384b40caa8af", fixedWords: "the common exit, as merged for 5.2",
      kind: .earlyReturn),
  ]
}
