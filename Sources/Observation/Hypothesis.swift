package import Explorer
public import Ptrauth

/// A kernel that may have made the recording: the generation's own code, or that with one fault planted; as far as
/// API and APK go.
public struct Hypothesis: Sendable {
  /// The fault's name; nil: the code as it should be, which is on trial.
  public let fault: String?
  /// The rule that reports the fault.
  public let rule: Rule?
  let code: Code
  /// An SError may have been pending at a ptrauth trap, which then nobody answers.
  public private(set) var hasSErrors = true

  private init(fault: Fault?, code: Code) {
    self.fault = fault?.name
    rule = fault?.rule
    self.code = code
  }

  /// Where nothing is sampled, a vCPU whose traps nobody ever answers and one that lacks the feature look alike. An SError at
  /// each of them is no explanation that anybody would look into.
  public var withoutSErrors: Hypothesis {
    var other = self
    other.hasSErrors = false
    return other
  }

  /// The standard first, as other hosts run it behind it; then every fault that makes another code of it; of those that
  /// look alike here the first.
  public static func bank(of generation: Generation) -> [Hypothesis] {
    bank(of: generation, faults: Fault.all)
  }

  /// The same of every generation: one of them it is.
  public static let bankOfAll = Generation.all.reduce(into: [Hypothesis]()) { all, generation in
    for own in bank(of: generation) where !all.contains(where: { $0.code == own.code }) {
      all.append(own)
    }
  }

  package static func bank(of generation: Generation, faults: [Fault]) -> [Hypothesis] {
    let standard = Hypothesis(fault: nil, code: generation.code.ofEnableBits)
    var bank = [standard]
    if generation.load == .sets, generation.protectedKeys == .own {
      bank.append(Hypothesis(fault: nil, code: standard.code.inProtectedMode))
    }
    for fault in faults where !fault.isNested {
      guard let planted = fault.planted(in: Setting(generation)) else { continue }
      let code = planted.code.ofEnableBits
      guard code.hostTrap.count <= VCPUWorld.Place.lineLimit,
        !bank.contains(where: { $0.code == code })
      else { continue }
      bank.append(Hypothesis(fault: fault, code: code))
    }
    return bank
  }
}

extension Code {
  /// Only what decides API and APK, in memory and in the CPU.
  var ofEnableBits: Code {
    func own(_ lines: [Line]) -> [Line] { lines.filter(\.step.isAboutEnableBits) }
    return Code(
      reset: own(reset), load: own(load), activateTraps: own(activateTraps),
      guestEnter: own(guestEnter), guestExit: own(guestExit), hypTrap: own(hypTrap),
      hostTrap: own(hostTrap))
  }
}

extension Code {
  /// Where pKVM is enabled, 6.12's load leaves the shadow alone, and what comes back with an exit is that of EL2's own
  /// vCPU, which has both bits (vcpu_set_pauth_traps, sync_hyp_vcpu). No event tells such a host from others.
  fileprivate var inProtectedMode: Code {
    var code = self
    code.load = []
    code.guestExit.append(Line([.hasFeature, .sometimes], .enable(api: true, apk: true)))
    return code
  }
}

extension Step {
  fileprivate var isAboutEnableBits: Bool {
    switch self {
    case .enable, .disable, .adoptNestedBits, .addNestedBits, .writeHCR, .enableHCR, .clearHCR,
      .setHCR, .injectUndefined, .injectNested:
      true
    default: false
    }
  }
}
