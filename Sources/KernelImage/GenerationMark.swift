public import Ptrauth

/// One thing that tells generations of the key switch apart, as it was found in a kernel.
public struct GenerationMark: Sendable, Equatable {
  public enum Outcome: String, Sendable {
    case found, absent
    /// The image lacks what the mark is read from: symbols, DWARF or code.
    case undecidable
  }

  /// "symbol kvm_arm_vcpu_ptrauth_trap".
  public let description: String
  public let outcome: Outcome
  /// Whether the chosen generation has it so; true if none is chosen or the mark is undecidable.
  public internal(set) var consistent: Bool

  public var found: Bool { outcome == .found }
}

/// Which generation a kernel is, and every mark that was looked at.
public struct GenerationEvidence: Sendable, Equatable {
  /// "5.0", "v6", "v7", "5.2", "5.6.19", "5.8", "5.9", "5.16" or "6.10"; nil if the marks do not tell.
  public let generation: String?
  public let marks: [GenerationMark]

  /// The generation that the marks name.
  public var marked: Generation? { generation.flatMap { Generation(named: $0) } }

  /// Whether the marks leave room for a generation: of those they cannot tell apart (6.5 from 5.16) each; if
  /// they name none, any.
  public func allows(_ asked: Generation) -> Bool {
    guard let generation else { return true }
    let upToAsked = Generation.all.prefix { $0 != asked } + [asked]
    return upToAsked.last { GenerationColumn(rawValue: $0.name) != nil }?.name == generation
  }
}
