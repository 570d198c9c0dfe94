import Ptrauth

/// S4: API and APK that the guest runs with are the shadow's, which entry and exit test or took theirs from. Faults alone:
/// what is written to HCR_EL2 is not followed in every kernel, and the guard's own check says what it stands on.
struct ActivationCheck {
  let subject: AuditSubject

  /// What loads HCR_EL2 for the guest, and what it is inlined into.
  private static let names = [
    "__activate_traps", "___activate_traps", "__kvm_vcpu_run_vhe", "__kvm_nvhe___activate_traps",
    "__kvm_nvhe___kvm_vcpu_run",
  ]

  func checks() -> [CodeCheck] {
    guard let shadow = subject.offsets?.shadow, !subject.image.hasForeignTypes else { return [] }
    let word = Symbol.word(Address(symbol: .argument(0), offset: shadow))
    // One that is followed from its caller too is told once.
    var told: Set<UInt64> = []
    return Self.names.compactMap { name in
      guard let function = subject.image.functions(called: name).first(where: { $0.name == name })
      else { return nil }
      let walk = subject.codeWalk.walk(from: function.address, in: function)
      for end in walk.ends.inOrder where end.kind != .traps {
        for event in end.state.events {
          guard case .hcrWritten(let written) = event.kind,
            let (statement, rule) = fault(written, word), told.insert(event.pc).inserted
          else { continue }
          return CodeCheck(
            .bits, .fail, at: name, statement, rule: rule,
            lines: subject.lines(
              stride(from: event.pc - min(event.pc, 16), through: event.pc, by: 4),
              marked: [event.pc]))
        }
      }
      return nil
    }
  }

  private func fault(_ written: Mixture, _ shadow: Symbol) -> (String, Rule)? {
    guard written.shift == 0 else { return nil }
    let both = GuardChecks.both
    let others = written.mask { symbol in
      guard case .word(let address) = symbol, symbol != shadow else { return false }
      return address.symbol == .argument(0)
    }
    guard written.mask(of: { $0 == shadow }) != 0 else {
      // Most of a word of the vCPU's: it stands where the shadow should.
      guard others.nonzeroBitCount > 32, others & both != 0 else { return nil }
      return ("HCR_EL2 gets another word of the vCPU than the shadow", .hostKeyLeak)
    }
    if written.set & both != 0 {
      return (
        "HCR_EL2 gets API or APK whatever the shadow says: the guest runs on keys that nobody switched",
        .hostKeyLeak
      )
    }
    if others & both != 0 {
      return (
        "HCR_EL2 gets API or APK of another word than the shadow: no load saved the host's keys for it",
        .nestedBitsDiffer
      )
    }
    guard written.mask(of: { $0 == shadow }) & both != both else { return nil }
    return (
      "API or APK of the shadow is masked out of HCR_EL2: the guest traps however often it is answered",
      .trapWhileEnabled
    )
  }
}
