import Ptrauth

/// S4: the test in front of the key switch, which entry and exit have to share.
struct GuardChecks {
  let subject: AuditSubject
  let copy: AuditSubject.Copy

  /// API and APK, bits 41 and 40 of HCR_EL2.
  static let both: UInt64 = 3 << 40

  /// One condition that every switching path assumes, and not every other.
  enum Term: Hashable {
    case capability(UInt16, isPresent: Bool)
    case live(mask: UInt64, isZero: Bool)
    /// The word so many bytes from struct kvm_vcpu.
    case shadow(Int64, mask: UInt64, isZero: Bool)

    var opposite: Term {
      switch self {
      case .capability(let number, let isPresent): .capability(number, isPresent: !isPresent)
      case .live(let mask, let isZero): .live(mask: mask, isZero: !isZero)
      case .shadow(let offset, let mask, let isZero):
        .shadow(offset, mask: mask, isZero: !isZero)
      }
    }
  }

  func check() -> CodeCheck? {
    let switches = GuestSwitchChecks(subject: subject, copy: copy)
    let place = copy.place("__guest_enter and __guest_exit")
    let (enterEnds, exitEnds) = (switches.enterEnds, switches.exitEnds)
    guard let enterEnd = enterEnds.first, let exitEnd = exitEnds.first else { return nil }
    let enter = terms(copy.enterWalk.ends.filter { $0.kind == .exceptionReturn }, vcpu: 0)
    let exit = terms(copy.exitWalk.ends.filter { $0.kind != .traps }, vcpu: 1)
    let lines = { subject.guardLines(enterEnd) + subject.guardLines(exitEnd) }
    func fail(_ statement: String) -> CodeCheck {
      CodeCheck(.bits, .fail, at: place, statement, rule: .hostKeyLeak, lines: lines())
    }
    for (side, terms) in [("__guest_enter", enter), ("__guest_exit", exit)] {
      if let wrong = mistake(terms) { return fail("\(side) \(wrong)") }
    }
    guard enter == exit else {
      return fail("entry switches if \(words(enter)), exit if \(words(exit))")
    }
    for (side, ends, rule) in [
      (
        "__guest_enter", copy.enterWalk.ends.filter { $0.kind == .exceptionReturn },
        Rule.hostKeyLeak
      ),
      ("__guest_exit", copy.exitWalk.ends.filter { $0.kind != .traps }, .missedHostRestore),
    ] {
      let vcpu: UInt8 = side == "__guest_enter" ? 0 : 1
      let around = ends.inOrder.first { end in
        !end.state.touchesKeys && !end.state.lostConditions
          && Set(end.state.conditions.compactMap { term($0, vcpu: vcpu)?.opposite })
            .isDisjoint(with: enter)
      }
      guard let around else { continue }
      return CodeCheck(
        .bits, .fail, at: place, "a way through \(side) switches nothing, whatever API and APK are",
        rule: rule, lines: lines() + subject.lines([around.state.pc]))
    }
    if let other = foreignCapability(enter) {
      return CodeCheck(
        .bits, .cannotJudge, at: place,
        "both switch if \(words(enter)); the kernel's own keys are installed if the CPU has capability \(other)",
        lines: lines())
    }
    let isShadow = enter.contains { if case .shadow = $0 { true } else { false } }
    return CodeCheck(
      .bits, .pass, at: place,
      "both switch if \(words(enter))" + (isShadow ? "; the shadow, not the register" : ""),
      lines: lines())
  }

  /// What the kernel asks of the CPU where it installs its own keys, if guest entry asks for something else.
  private func foreignCapability(_ terms: Set<Term>) -> UInt16? {
    let asked = terms.compactMap { term -> UInt16? in
      if case .capability(let number, isPresent: true) = term { number } else { nil }
    }
    let own = subject.inventory.groups.filter { group in
      group.reads.isEmpty && !KeyInventory.isOfKVM(group.place)
    }
    .flatMap(\.addresses).compactMap {
      subject.walk.alternatives.entry(replacingWith: $0)?.capability
    }
    guard asked.count == 1, let first = own.first, !own.contains(asked[0]) else { return nil }
    return first
  }

  private func mistake(_ terms: Set<Term>) -> String? {
    var tests = 0
    for term in terms.sorted(by: { "\($0)" < "\($1)" }) {
      switch term {
      case .capability: continue
      case .live(let mask, let isZero), .shadow(_, let mask, let isZero):
        tests += 1
        if mask != Self.both {
          return "tests 0x\(hex(mask)), not API and APK (0x\(hex(Self.both)))"
        }
        if isZero { return "switches keys when API and APK are clear" }
      }
      // Where a file of BTF that nothing confirms has it elsewhere, it is the file that is wrong.
      if case .shadow(let offset, _, _) = term, let expected = subject.offsets?.shadow,
        offset != expected, !subject.image.hasForeignTypes
      {
        return
          "tests the word at vcpu+0x\(hex(offset)); the shadow of HCR_EL2 is at 0x\(hex(expected))"
      }
    }
    return tests == 0 ? "switches keys without a test of API and APK" : nil
  }

  private func terms(_ ends: [WalkEnd], vcpu: UInt8) -> Set<Term> {
    func common(_ ends: [WalkEnd]) -> Set<Term>? {
      ends.reduce(nil as Set<Term>?) { common, end in
        let own = Set(end.state.conditions.compactMap { term($0, vcpu: vcpu) })
        return common?.intersection(own) ?? own
      }
    }
    let switching = common(ends.filter(\.state.touchesKeys)) ?? []
    return switching.subtracting(common(ends.filter { !$0.state.touchesKeys }) ?? [])
  }

  private func term(_ condition: WalkCondition, vcpu: UInt8) -> Term? {
    switch condition {
    case .capability(let number, let isPresent): .capability(number, isPresent: isPresent)
    case .bits(.hcr, let mask, let isZero): .live(mask: mask, isZero: isZero)
    case .bits(.word(let address), let mask, let isZero) where address.symbol == .argument(vcpu):
      .shadow(address.offset, mask: mask, isZero: isZero)
    default: nil
    }
  }

  private func words(_ terms: Set<Term>) -> String {
    let words = terms.map { term -> String in
      switch term {
      case .capability(let number, let isPresent):
        "the CPU has \(isPresent ? "" : "not ")capability \(number)"
      case .live: "API or APK is set in HCR_EL2"
      case .shadow(let offset, _, _): "API or APK is set at vcpu+0x\(hex(offset))"
      }
    }
    return words.isEmpty ? "always" : words.sorted(by: >).joined(separator: " and ")
  }
}

extension AuditSubject {
  /// The instructions in front of the first key access.
  func guardLines(_ end: WalkEnd) -> [CodeLine] {
    guard let first = end.state.keyEvents.map(\.pc).min(), first >= 24 else { return [] }
    return lines(stride(from: first - 24, through: first, by: 4))
  }
}
