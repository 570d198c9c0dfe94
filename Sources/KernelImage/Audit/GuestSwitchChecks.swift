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
  func unreached(
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

  func expectedGuest(argument: UInt8) -> Address? {
    subject.offsets.map {
      Address(symbol: .argument(argument), offset: $0.context + $0.slots[0])
    }
  }

  func restored(
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

  func restoreBase(
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
}
