import Ptrauth

/// S16: a ptrauth trap of an L2 guest goes to L1, which left API or APK clear (kvm_handle_ptrauth, 6.10 on). Which mode
/// the vCPU runs in is decided by values that are not followed: that it is asked is not shown.
struct ForwardingCheck {
  let subject: AuditSubject
  let generation: Generation

  private static let place = "kvm_handle_ptrauth"

  func check() -> CodeCheck {
    let image = subject.image
    guard generation.hostSave == .everyLoad, generation.load != .clears,
      image.enumerator("HCR_EL2", in: "vcpu_sysreg") != nil
    else {
      return answer(.notApplicable, "this kernel gives no L2 guest bits of its L1's")
    }
    let injectors = addresses("kvm_inject_nested_sync") + addresses("kvm_inject_nested")
    let undefined = addresses("kvm_inject_undefined")
    guard
      let function = image.functions(called: Self.place).first(where: {
        $0.name == Self.place
      })
    else { return answer(.cannotJudge, "there is no such function: its code is part of another") }
    guard !injectors.isEmpty, !undefined.isEmpty, !subject.walk.alternatives.isEmpty
    else {
      return answer(
        .cannotJudge,
        "kvm_inject_nested and kvm_inject_undefined, or alternatives, are not in the file")
    }
    var walk = subject.codeWalk
    walk.attention = Attention(
      word: subject.offsets?.shadow.map { Address(symbol: .argument(0), offset: $0) },
      bits: GuardChecks.both, calls: Set(injectors + undefined), notesEveryCall: true,
      tested: { _ in true })
    walk.attention?.testsAnyBits = true
    let result = walk.walk(from: function.address, in: function)
    return judge(result, Set(injectors), Set(undefined))
  }

  private func addresses(_ name: String) -> [UInt64] {
    subject.image.functions(called: name).map(\.address)
  }

  private func answer(
    _ outcome: CodeCheck.Outcome, _ statement: String, _ lines: [UInt64] = []
  ) -> CodeCheck {
    CodeCheck(
      .forwarding, outcome, at: Self.place, statement,
      rule: outcome == .fail ? .nestedBitsDiffer : nil,
      lines: subject.lines(lines, marked: Set(lines.prefix(1))))
  }

  private func judge(
    _ result: PathWalk.Result, _ injectors: Set<UInt64>, _ undefined: Set<UInt64>
  ) -> CodeCheck {
    let pointerAuth = VirtualFeature.pointerAuth(subject.image, vcpu: 0).asked(by: result.ends)
    let hypervisor = VirtualFeature.hypervisor(subject.image, vcpu: 0)
    let syndrome = (try? subject.image.offset(of: "kvm_vcpu.arch.fault.esr_el2"))
      .flatMap { Int64(exactly: $0) }
      .map { SymbolicValue.symbol(.word(Address(symbol: .argument(0), offset: $0))) }
    let ends = result.ends.filter { $0.kind != .traps }.inOrder
    var handed: [UInt64] = []
    var isShown = false
    var isOpen = !result.isComplete || ends.isEmpty
    for end in ends {
      let conditions = end.state.conditions
      guard pointerAuth.answer(conditions) != .impossible else { continue }
      var toL1: (pc: UInt64, x0: SymbolicValue, x1: SymbolicValue)?
      var isUndefined = false
      var others = false
      for event in end.state.events {
        switch event.kind {
        case .called(let target, let x0, let x1):
          if injectors.contains(target) {
            toL1 = (event.pc, x0, x1)
          } else if undefined.contains(target) {
            isUndefined = true
          } else {
            others = true
          }
        case .stored:
          return answer(
            .fail, "API or APK of the shadow changes, instead of a trap for L1", [event.pc])
        default: break
        }
      }
      guard let toL1 else {
        let isL2 =
          pointerAuth.answer(conditions) == .present
          && hypervisor.answer(conditions) == .present
        if isUndefined { continue }
        if others || !isL2 {
          isOpen = true
          continue
        }
        return answer(
          .fail, "a way goes back to the L2 guest with nothing injected: it traps again",
          [end.state.pc])
      }
      if hypervisor.answer(conditions) == .absent {
        return answer(
          .fail, "a trap of a vCPU without EL2, which runs no L2 guest, goes to L1", [toL1.pc])
      }
      if pointerAuth.answer(conditions) == .absent {
        return answer(
          .fail, "a trap of a vCPU without ptrauth, which must be UNDEF, goes to L1", [toL1.pc])
      }
      if toL1.x0.isOther(than: .symbol(.argument(0))) {
        return answer(.fail, "the exception is injected into another vCPU", [toL1.pc])
      }
      if let syndrome, toL1.x1.isOther(than: syndrome) {
        return answer(.fail, "L1 gets another syndrome than that of the trap", [toL1.pc])
      }
      handed.append(toL1.pc)
      isShown = isShown || hypervisor.answer(conditions) == .present
    }
    if handed.isEmpty {
      return isOpen
        ? answer(.cannotJudge, "no way to an injection into L1 could be followed")
        : answer(
          .fail, "every way ends in an UNDEF: L1 never sees a trap that it asked for",
          ends.map(\.state.pc))
    }
    guard !isOpen, isShown else {
      return answer(
        .cannotJudge, "not every way, or not whose trap goes to L1, could be followed", handed)
    }
    return answer(
      .pass,
      "a trap of an L2 guest whose VM has ptrauth is injected into L1, with its syndrome; whether "
        + "it is one was not followed",
      handed)
  }
}

extension SymbolicValue {
  /// Known, and not that value.
  fileprivate func isOther(than value: SymbolicValue) -> Bool {
    guard self != value else { return false }
    switch self {
    case .constant: return true
    case .address(let address):
      switch address.symbol {
      case .argument: return true
      case .word(let inner): return inner.symbol == .argument(0)
      default: return false
      }
    default: return false
    }
  }
}
