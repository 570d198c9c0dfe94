import Ptrauth

// Guest exit: the guest's keys are saved, the host's restored.
extension GuestSwitchChecks {
  func exit() -> [CodeCheck] {
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

  func saved(_ ends: [WalkEnd], _ place: String) -> CodeCheck {
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

  func order(_ ends: [WalkEnd], _ place: String) -> CodeCheck {
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
  func words(_ address: Address) -> String {
    if case .argument(1) = address.symbol { return subject.words(address, vcpu: 1) }
    return subject.words(address)
  }
}
