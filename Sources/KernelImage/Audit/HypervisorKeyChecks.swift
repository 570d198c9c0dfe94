import Ptrauth

/// S2, S3 and S5 where EL2 has keys of its own (protected mode, commit 8c15c2a02810, 6.5 on).
///
///     __host_exit ── host's keys to the host context ── EL2's from kvm_hyp_ctxt ── isb ── handler
///                                                                                           │
///     ERET ◀── host's keys back ◀───────────────────────────────────────────────────────────┘
///
/// The way in is walked to the first call, the whole to the ERET.
struct HypervisorKeyChecks {
  let subject: AuditSubject
  private static let function = "__kvm_nvhe___host_exit"
  private let place = "__host_exit (nVHE, protected mode)"

  init(subject: AuditSubject) { self.subject = subject }

  /// Empty in a kernel whose EL2 has no keys.
  func checks() -> [CodeCheck] {
    answers().map { check in
      var check = check
      check.part = .protectedMode
      return check
    }
  }

  private func answers() -> [CodeCheck] {
    let group = subject.inventory.groups.first { $0.function?.name == Self.function }
    guard let group, let function = group.function else { return [] }
    var toHandler = subject.walk
    toHandler.stopsAtCalls = true
    let walks = [toHandler, subject.walk].map { $0.walk(from: function.address, in: function) }
    let handled = walks[0].ends.filter { $0.kind.isCall && $0.state.touchesKeys }.inOrder
    let returned = GuestSwitchChecks.switching(walks[1], [.exceptionReturn])
    guard !handled.isEmpty, !returned.isEmpty else {
      let isKnown = walks.allSatisfy(\.isComplete) && !subject.walk.alternatives.isEmpty
      return [
        CodeCheck(
          .keySet, isKnown ? .fail : .cannotJudge, at: place,
          handled.isEmpty
            ? "no path to the handler loads EL2's keys" : "no path from there comes to an ERET",
          rule: isKnown ? .el2KeysMixed : nil, lines: subject.lines(group.addresses.prefix(24)))
      ]
    }
    return [
      saved(handled), loaded(handled), returns(returned), bases(handled), synchronized(handled),
    ]
  }

  private func fail(
    _ question: CodeCheck.Question, _ statement: String, _ events: [WalkEvent],
    marked: Set<UInt64> = []
  ) -> CodeCheck {
    CodeCheck(
      question, .fail, at: place, statement, rule: .el2KeysMixed,
      lines: subject.block(events, marked: marked))
  }

  private func saved(_ ends: [WalkEnd]) -> CodeCheck {
    for end in ends {
      let mistakes = hostMap(end.state).mistakes
      if !mistakes.isEmpty {
        return fail(.keySet, "of the host's keys, " + mistakes.words, end.state.reads)
      }
    }
    return CodeCheck(
      .keySet, .pass, at: place, "the host's ten registers are saved before the handler runs",
      lines: subject.block(ends[0].state.reads))
  }

  private func loaded(_ ends: [WalkEnd]) -> CodeCheck {
    for end in ends {
      let mistakes = ownMap(end.state).mistakes
      if !mistakes.isEmpty {
        return fail(.keySet, "of EL2's keys, " + mistakes.words, end.state.writes)
      }
    }
    return CodeCheck(
      .keySet, .pass, at: place, "EL2's ten registers are loaded before the handler runs",
      lines: subject.block(ends[0].state.writes))
  }

  private func returns(_ ends: [WalkEnd]) -> CodeCheck {
    for end in ends {
      let wrong = KeyRegister.allCases.filter { end.state.keys[$0.rawValue] != .key($0) }
      if !wrong.isEmpty {
        let names = wrong.map(\.name).joined(separator: ", ")
        return fail(
          .keySet,
          "at the ERET to the host, \(names) \(wrong.count == 1 ? "is" : "are") not the host's",
          end.state.writes)
      }
    }
    return CodeCheck(.keySet, .pass, at: place, "the host's ten registers are back at the ERET")
  }

  private func bases(_ ends: [WalkEnd]) -> CodeCheck {
    guard let offsets = subject.offsets else {
      return CodeCheck(
        .base, .cannotJudge, at: place, "the vmlinux has neither BTF nor DWARF for struct offsets")
    }
    func isIn(_ base: Address?, _ variable: String, _ inside: Int64) -> Bool {
      guard let base, base.symbol == .perCPU else { return false }
      let starts = subject.image.addresses(of: "__kvm_nvhe_" + variable)
      return starts.contains { Int64(bitPattern: $0) &+ inside &+ offsets.slots[0] == base.offset }
    }
    for end in ends {
      let (host, own) = (hostMap(end.state).base, ownMap(end.state).base)
      if !isIn(own, "kvm_hyp_ctxt", 0) {
        return fail(.base, "EL2's keys are not those of kvm_hyp_ctxt", end.state.writes)
      }
      if let inside = offsets.hostContext, !isIn(host, "kvm_host_data", inside) {
        return fail(.base, "the host's keys do not go to the host's context", end.state.reads)
      }
    }
    return CodeCheck(
      .base, .pass, at: place, "the host's keys go to kvm_host_data, EL2's come from kvm_hyp_ctxt")
  }

  private func synchronized(_ ends: [WalkEnd]) -> CodeCheck {
    for end in ends {
      let use = end.state.events.first { $0.kind == .unsynchronizedUse }
      guard let use, let last = end.state.writes.last else { continue }
      return fail(
        .isb, "no isb between the last of EL2's keys and the handler", [last],
        marked: [last.pc, use.pc])
    }
    return CodeCheck(
      .isb, .pass, at: place, "an isb follows EL2's keys; the ERET synchronizes the host's")
  }

  private func hostMap(_ state: WalkState) -> SlotMap {
    var map = SlotMap(subject.offsets)
    for (address, key) in state.keyWords { map.add(key, address) }
    return map
  }

  private func ownMap(_ state: WalkState) -> SlotMap {
    var map = SlotMap(subject.offsets)
    for key in KeyRegister.allCases {
      if case .address(let address) = state.keys[key.rawValue], address.offset == 0,
        case .word(let word) = address.symbol
      {
        map.add(key, word)
      }
    }
    return map
  }
}

extension WalkEnd.Kind {
  fileprivate var isCall: Bool { if case .calls = self { true } else { false } }
}
