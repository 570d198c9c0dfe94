import Ptrauth

/// S2, S3 and S5 to S7 for one copy of __guest_enter and __guest_exit.
struct GuestSwitchChecks {
  let subject: AuditSubject
  let copy: AuditSubject.Copy

  private var slotDistances: Offsets? { subject.offsets }

  /// Paths that end as they should and touch keys, in a stable order.
  static func switching(_ result: PathWalk.Result, _ kinds: [WalkEnd.Kind]) -> [WalkEnd] {
    result.ends.filter { kinds.contains($0.kind) && $0.state.touchesKeys }.inOrder
  }

  var enterEnds: [WalkEnd] { Self.switching(copy.enterWalk, [.exceptionReturn]) }
  var exitEnds: [WalkEnd] {
    copy.exitWalk.ends.filter { $0.kind != .traps && $0.state.touchesKeys }.inOrder
  }

  var checks: [CodeCheck] { enter() + exit() }

  // MARK: entry

  private func enter() -> [CodeCheck] {
    let place = copy.place("__guest_enter")
    let ends = enterEnds
    guard !ends.isEmpty else {
      return [unreached(place, copy.enter, copy.enterWalk, .missedGuestRestore, "restores")]
    }
    var checks = [restored(ends, place, .missedGuestRestore, from: expectedGuest(argument: 0))]
    if checks[0].outcome != .fail || !isEmptyRestore(ends) {
      checks.append(
        restoreBase(
          ends, place, expected: expectedGuest(argument: 0).map { [$0] },
          named: "the guest's context",
          rule: .missedGuestRestore))
    }
    checks.append(unsynchronizedEnter(ends, place))
    checks.append(guestRegistersLoaded(ends, place))
    return checks
  }

  /// The ten writes are there, but no path comes to them; or there are none.
  private func unreached(
    _ place: String, _ function: KernelFunctionSymbol, _ walk: PathWalk.Result, _ rule: Rule,
    _ verb: String
  ) -> CodeCheck {
    let group = subject.inventory.group(at: function)
    guard walk.isComplete else {
      return CodeCheck(.keySet, .cannotJudge, at: place, "too many paths to follow")
    }
    guard group == nil || !subject.walk.alternatives.isEmpty else {
      return CodeCheck(
        .keySet, .cannotJudge, at: place,
        "the file has no .altinstructions: what the kernel patches at boot is not known",
        lines: subject.lines(group.map { Array($0.addresses.prefix(1)) } ?? []))
    }
    let isReached = group.map { !walk.visited.isDisjoint(with: $0.addresses) } ?? false
    return CodeCheck(
      .keySet, .fail, at: place,
      group == nil
        ? "no key register is touched"
        : isReached
          ? "no path that \(verb) keys ends in the guest or in the host"
          : "no path \(verb) keys: the code is not reached, whatever alternatives are patched in",
      rule: rule, lines: subject.lines(group.map { Array($0.addresses.prefix(24)) } ?? []))
  }

  private func isEmptyRestore(_ ends: [WalkEnd]) -> Bool {
    ends.allSatisfy { restoreMap($0.state).words.isEmpty }
  }

  /// Which word each key register was last written from.
  func restoreMapBase(_ state: WalkState) -> Address? { restoreMap(state).base }

  func restoreMap(_ state: WalkState) -> SlotMap {
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

  private func expectedGuest(argument: UInt8) -> Address? {
    subject.offsets.map {
      Address(symbol: .argument(argument), offset: $0.context + $0.slots[0])
    }
  }

  private func restored(
    _ ends: [WalkEnd], _ place: String, _ missing: Rule, from expected: Address?
  ) -> CodeCheck {
    for end in ends {
      let state = end.state
      if restoresOwnSlots(state) { continue }  // the wrong context: S3
      let map = restoreMap(state)
      let mistakes = map.mistakes.map { mistake -> SlotMap.Mistake in
        var mistake = mistake
        if mistake.instead == nil, state.wrote(mistake.register) { mistake.instead = .elsewhere }
        return mistake
      }
      guard !mistakes.isEmpty else { continue }
      let names = Set(mistakes.map(\.register))
      let wrote = KeyRegister.allCases.filter { state.wrote($0) }
      if wrote.isEmpty {
        return CodeCheck(
          .keySet, .fail, at: place, "no key register is written on a path that switches",
          rule: missing, lines: subject.block(state.keyEvents))
      }
      let marked = state.keyEvents.filter { event in
        if case .keyWrite(let key) = event.kind { return names.contains(key) }
        return false
      }
      return CodeCheck(
        .keySet, .fail, at: place, mistakes.words, rule: .partialKeySet,
        lines: subject.block(state.writes, marked: Set(marked.map(\.pc))))
    }
    return CodeCheck(
      .keySet, .pass, at: place, "ten registers are written, each from its own slot",
      lines: subject.block(ends[0].state.writes))
  }

  /// Guest exit that loads what it just stored.
  private func restoresOwnSlots(_ state: WalkState) -> Bool {
    let own = KeyRegister.allCases.count {
      state.wrote($0) && state.keys[$0.rawValue] == .key($0)
    }
    return own >= 6
  }

  private func restoreBase(
    _ ends: [WalkEnd], _ place: String, expected: [Address]?, named name: String, rule: Rule
  ) -> CodeCheck {
    for end in ends where restoresOwnSlots(end.state) {
      return CodeCheck(
        .base, .fail, at: place, "loads the slots that the guest's keys were just saved to",
        rule: rule, lines: subject.block(end.state.writes))
    }
    guard let expected else {
      return CodeCheck(
        .base, .cannotJudge, at: place, "the vmlinux has neither BTF nor DWARF for struct offsets")
    }
    for end in ends {
      guard let base = restoreMap(end.state).base else { continue }
      if !expected.contains(base) {
        return CodeCheck(
          .base, .fail, at: place,
          "the slots are \(words(base)), not \(expected.map(words).joined(separator: " or ")) (\(name))",
          rule: rule,
          lines: subject.block(end.state.writes))
      }
    }
    let base = restoreMap(ends[0].state).base ?? expected[0]
    return CodeCheck(.base, .pass, at: place, "\(name): the slots begin \(words(base))")
  }

  private func unsynchronizedEnter(_ ends: [WalkEnd], _ place: String) -> CodeCheck {
    for end in ends {
      let uses = end.state.events.filter { $0.kind == .authenticates }
      if let use = uses.first {
        return CodeCheck(
          .isb, .fail, at: place,
          "a pointer authentication instruction follows the guest's keys before the ERET",
          rule: .missedHostRestore, lines: subject.block([use], marked: [use.pc]))
      }
    }
    return CodeCheck(
      .isb, .pass, at: place,
      "nothing uses a key between the last write and the ERET, which synchronizes")
  }

  private func guestRegistersLoaded(_ ends: [WalkEnd], _ place: String) -> CodeCheck {
    guard let offsets = subject.offsets else {
      return CodeCheck(.registers, .cannotJudge, at: place, "no struct offsets")
    }
    let start = Address(symbol: .argument(0), offset: offsets.context + offsets.registers)
    for end in ends {
      let lost = (0..<31).filter {
        end.state.registers[$0] != .symbol(.word(start.adding(8 * Int64($0))))
      }
      guard !lost.isEmpty else { continue }
      return CodeCheck(
        .registers, .fail, at: place,
        "at the ERET \(lost.map { "x\($0)" }.joined(separator: ", ")) \(lost.count == 1 ? "is" : "are") "
          + "not the guest's", rule: .hostKeyLeak,
        lines: subject.lines(
          stride(from: max(end.state.pc, 128) - 96, through: end.state.pc, by: 4)))
    }
    return CodeCheck(
      .registers, .pass, at: place, "x0 to x30 are the guest's at the ERET, scratch registers too")
  }

  // MARK: exit

  private func exit() -> [CodeCheck] {
    let place = copy.place("__guest_exit")
    let (save, restore) = (place + ", save", place + ", restore")
    let ends = exitEnds
    guard !ends.isEmpty else {
      return [
        unreached(save, copy.exitFunction, copy.exitWalk, .missedGuestSave, "saves"),
        unreached(restore, copy.exitFunction, copy.exitWalk, .missedHostRestore, "restores"),
      ]
    }
    var checks = [saved(ends, save)]
    if checks[0].rule != .missedGuestSave { checks.append(saveBase(ends, save)) }
    let restored = restored(ends, restore, .missedHostRestore, from: nil)
    checks.append(restored)
    if restored.rule != .missedHostRestore {
      let host = subject.hostBases(copy)
      checks.append(
        restoreBase(
          ends, restore, expected: host.isEmpty ? nil : host, named: "the host's context",
          rule: .missedHostRestore))
      checks.append(synchronized(ends, place))
      checks.append(order(ends, place))
    }
    checks.append(guestRegistersSaved(ends, place))
    return checks
  }

  func saveMap(_ state: WalkState) -> SlotMap {
    var map = SlotMap(subject.offsets)
    for (address, key) in state.keyWords { map.add(key, address) }
    return map
  }

  private func saved(_ ends: [WalkEnd], _ place: String) -> CodeCheck {
    for end in ends {
      let state = end.state
      let map = saveMap(state)
      if map.words.isEmpty {
        return CodeCheck(
          .keySet, .fail, at: place, "no key register's content reaches memory",
          rule: .missedGuestSave,
          lines: subject.block(state.reads))
      }
      let mistakes = map.mistakes
      guard !mistakes.isEmpty else { continue }
      if state.hasLostSight(of: mistakes) {
        return CodeCheck(
          .keySet, .cannotJudge, at: place, "what is stored could not be followed",
          lines: subject.block(state.reads))
      }
      let names = Set(mistakes.map(\.register))
      let marked = state.keyEvents.filter { event in
        switch event.kind {
        case .keyRead(let key), .keyStore(let key, _): names.contains(key)
        default: false
        }
      }
      return CodeCheck(
        .keySet, .fail, at: place, mistakes.words, rule: .partialKeySet,
        lines: subject.block(state.reads, marked: Set(marked.map(\.pc))))
    }
    return CodeCheck(
      .keySet, .pass, at: place, "ten registers are read, each stored to its own slot",
      lines: subject.block(ends[0].state.reads))
  }

  private func saveBase(_ ends: [WalkEnd], _ place: String) -> CodeCheck {
    guard let expected = expectedGuest(argument: 1) else {
      return CodeCheck(
        .base, .cannotJudge, at: place, "the vmlinux has neither BTF nor DWARF for struct offsets")
    }
    for end in ends {
      guard let base = saveMap(end.state).base, base != expected else { continue }
      return CodeCheck(
        .base, .fail, at: place,
        "the slots are \(words(base)), not \(words(expected)) (the guest's context)",
        rule: .missedGuestSave, lines: subject.block(end.state.reads))
    }
    return CodeCheck(
      .base, .pass, at: place, "the guest's context: the slots begin \(words(expected))")
  }

  private func synchronized(_ ends: [WalkEnd], _ place: String) -> CodeCheck {
    for end in ends {
      let use = end.state.events.first { $0.kind == .unsynchronizedUse }
      guard let use, let last = end.state.writes.last else { continue }
      return CodeCheck(
        .isb, .fail, at: place,
        "no isb between the last write at 0x\(hex(last.pc)) and the use or return at 0x\(hex(use.pc))",
        rule: .missingISB,
        lines: subject.lines(
          stride(from: last.pc, through: last.pc + 24, by: 4), marked: [last.pc, use.pc]))
    }
    let isb = ends[0].state.events.last { $0.kind == .isb }
    return CodeCheck(
      .isb, .pass, at: place, "an isb follows the last write on every path to the host",
      lines: subject.lines([ends[0].state.writes.last?.pc, isb?.pc].compactMap(\.self)))
  }

  private func order(_ ends: [WalkEnd], _ place: String) -> CodeCheck {
    for end in ends {
      let events = end.state.events
      guard let reload = events.firstIndex(where: { $0.kind == .reload(30) }),
        let write = events[reload...].first(where: {
          if case .keyWrite = $0.kind { true } else { false }
        })
      else { continue }
      return CodeCheck(
        .order, .fail, at: place,
        "x30 is reloaded at 0x\(hex(events[reload].pc)), before the host's keys are back",
        rule: .missedHostRestore,
        lines: subject.lines([], marked: [events[reload].pc, write.pc]))
    }
    return CodeCheck(
      .order, .pass, at: place, "the host's keys are back before x19 to x30 are reloaded")
  }

  private func guestRegistersSaved(_ ends: [WalkEnd], _ place: String) -> CodeCheck {
    guard let offsets = subject.offsets else {
      return CodeCheck(.registers, .cannotJudge, at: place, "no struct offsets")
    }
    let start = Address(symbol: .argument(1), offset: offsets.context + offsets.registers)
    for end in ends {
      let lost = (2..<31).filter {
        end.state.memory[start.adding(8 * Int64($0))] != .symbol(.argument(UInt8($0)))
      }
      if !lost.isEmpty {
        return CodeCheck(
          .registers, .fail, at: place,
          "the guest's \(lost.map { "x\($0)" }.joined(separator: ", ")) "
            + "\(lost.count == 1 ? "is" : "are") not saved before use", rule: .missedGuestSave,
          lines: subject.block(end.state.keyEvents))
      }
      if end.kind == .returns, end.state.registers[0].isFromMemory {
        return CodeCheck(
          .registers, .fail, at: place, "x0, the exit code, is overwritten by the key switch",
          rule: .missedHostRestore, lines: subject.block(end.state.keyEvents))
      }
    }
    return CodeCheck(
      .registers, .pass, at: place, "x2 to x30 of the guest are saved first; the exit code survives"
    )
  }

  /// "at vcpu+0x748", "at kvm_hyp_ctxt+0x648 of this CPU".
  private func words(_ address: Address) -> String {
    if case .argument(1) = address.symbol { return subject.words(address, vcpu: 1) }
    return subject.words(address)
  }
}
