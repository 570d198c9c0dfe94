import Ptrauth

/// S8 to S10: where the host's keys are saved, and where API and APK are set and cleared. C code.
struct HostSaveChecks {
  let subject: AuditSubject

  /// Functions that save host keys, one per copy, with their paths.
  struct Saver {
    var group: KeyInventory.Group
    var function: KernelFunctionSymbol
    /// Nil: not walked yet. Every path of a large function is seldom followed to its end.
    var walk: PathWalk.Result?
    /// Walked from the save on, not from the function's entry.
    var isLocal = false
    /// Where it was walked from, if not from the entry.
    var start: UInt64?
    var isNVHE: Bool { function.name.hasPrefix("__kvm_nvhe_") }
  }

  func checks(asking questions: Set<CodeCheck.Question>) -> [CodeCheck] {
    guard !questions.isDisjoint(with: [.hostSave, .preemption, .enable]) else { return [] }
    let savers = subject.inventory.savers.flatMap { group -> [Saver] in
      guard let function = group.function else { return [] }
      let saver = Saver(group: group, function: function)
      // The trap handler at EL2 is asked for every way through it anyhow.
      guard function.size <= Self.walkedWhole || subject.generation?.hostSave == .hypTrap else {
        return [saver]
      }
      let walked = whole(saver)
      return savesForItsCallers(walked) ? callers(of: walked) ?? [walked] : [walked]
    }
    guard let generation = subject.generation else {
      return [
        CodeCheck(
          .hostSave, .cannotJudge, at: "host save", "the generation of the key switch is not known")
      ]
    }
    guard generation.hostSave != .never else {
      return [
        CodeCheck(.hostSave, .notApplicable, at: "host save", "no guest ptrauth in this generation")
      ]
    }
    guard generation.hostSave != .everyEntry else {
      return [
        CodeCheck(
          .hostSave, .cannotJudge, at: "host save", "the posted v1 to v6 switch in C; not followed")
      ]
    }
    var checks: [CodeCheck] = []
    if savers.isEmpty {
      checks.append(
        CodeCheck(
          .hostSave, .fail, at: "host save",
          "no function but __guest_exit reads the key registers: nothing saves the host's",
          rule: .missedHostSave))
    }
    for saver in savers {
      var check = save(saver)
      if !belongs(saver, generation, among: savers) { check.part = .elsewhere }
      checks.append(check)
    }
    if generation.hostSave == .hypTrap,
      subject.copies.contains(where: { $0.name == "nVHE" && subject.switches($0) })
    {
      for (name, isNVHE) in [("VHE", false), ("nVHE", true)]
      where !savers.isEmpty && !savers.contains(where: { $0.isNVHE == isNVHE }) {
        checks.append(
          CodeCheck(
            .hostSave, .fail, at: "host save (\(name))", "the \(name) copy saves no host keys",
            rule: .missedHostSave))
      }
    }
    checks.append(preemption(generation, savers))
    if questions.contains(.enable) {
      checks += EnableChecks(subject: subject, generation: generation).checks(savers)
    }
    return checks
  }

  /// It is the generation's own save function, or may have become so by inlining: none of that name is left in
  /// its copy.
  private func belongs(_ saver: Saver, _ generation: Generation, among savers: [Saver]) -> Bool {
    let names: [String] =
      switch generation.hostSave {
      case .preemptibleTrap: ["kvm_arm_vcpu_ptrauth_trap"]
      case .everyLoad: ["kvm_arch_vcpu_load", "vcpu_set_pauth_traps"]
      case .hypTrap: ["kvm_hyp_handle_ptrauth", "__hyp_handle_ptrauth", "fixup_guest_exit"]
      case .never, .everyEntry: []
      }
    func isNamed(_ saver: Saver) -> Bool {
      // GCC's clones (fixup_guest_exit.isra.0) are the function too.
      let plain = saver.function.name.prefix { $0 != "." }
      return names.contains { plain == $0 || plain == "__kvm_nvhe_" + $0 }
    }
    return isNamed(saver) || !savers.contains { isNamed($0) && $0.isNVHE == saver.isNVHE }
  }

  /// Bytes; larger functions are walked from near the save first.
  private static let walkedWhole: UInt64 = 1024

  func whole(_ saver: Saver) -> Saver {
    var saver = saver
    saver.walk = subject.codeWalk.walk(from: saver.function.address, in: saver.function)
    return saver
  }

  func save(_ saver: Saver) -> CodeCheck {
    let ways: [() -> Saver?] =
      saver.walk == nil
      ? [{ nearby(saver) }, { whole(saver) }, { local(saver) }]
      : [{ saver }, { nearby(saver) }, { local(saver) }]
    var check = CodeCheck(
      .hostSave, .cannotJudge, at: saver.function.name, "its code could not be followed",
      lines: subject.lines(saver.group.addresses))
    for way in ways {
      guard let part = way() else { continue }
      check = saves(part)
      // Every way through it was followed, and none comes to the save: what it looks like is another matter.
      if isUnreached(part) { return check }
      guard check.outcome != .cannotJudge else { continue }
      guard check.outcome == .pass else { break }
      if let doubt = SavedLevel(subject: subject).check(part) { return doubt }
      if part.isLocal {
        // What it looks like is no proof of where it goes.
        check.outcome = .cannotJudge
        check.statement += "; in which context was not followed"
      } else if let start = part.start {
        check.statement += " (followed from 0x\(hex(start)) on)"
      }
      break
    }
    return check
  }

  func saves(_ saver: Saver) -> CodeCheck {
    let place = saver.function.name
    let walk = saver.walk ?? PathWalk.Result()
    let ends = walk.ends.filter { $0.kind != .traps && !$0.state.reads.isEmpty }.inOrder
    guard !ends.isEmpty else {
      return CodeCheck(
        .hostSave, .cannotJudge, at: place,
        walk.isComplete
          ? FeatureChecks.unreached
          : "too many paths to follow", lines: subject.lines(saver.group.addresses))
    }
    var bases: [Address] = []
    for end in ends {
      let state = end.state
      let map = storeMap(state)
      let mistakes = map.mistakes
      if mistakes.isEmpty {
        if let base = map.base, !bases.contains(base) { bases.append(base) }
        continue
      }
      let isUnknown =
        state.events.contains(where: \.isLostStore) || state.hasLostSight(of: mistakes)
      if isUnknown || !walk.isComplete && !saver.isLocal {
        return CodeCheck(
          .hostSave, .cannotJudge, at: place,
          "where its stores go, or what they store, could not be followed",
          lines: subject.lines(saver.group.addresses))
      }
      let names = Set(mistakes.map(\.register))
      let marked = state.keyEvents.filter { event in
        switch event.kind {
        case .keyRead(let key), .keyStore(let key, _): names.contains(key)
        default: false
        }
      }
      return CodeCheck(
        .hostSave, .fail, at: place, map.words.isEmpty ? "nothing is stored" : mistakes.words,
        rule: map.words.isEmpty ? .missedHostSave : .partialKeySet,
        lines: subject.lines(state.reads.map(\.pc), marked: Set(marked.map(\.pc))))
    }
    if !saver.isLocal, let wrong = bases.first(where: { !isHostContext($0, saver) }) {
      if case .argument = wrong.symbol, wrong.offset == subject.offsets?.slots[0] {
        return CodeCheck(
          .hostSave, .cannotJudge, at: place,
          "ten registers, each stored to its own slot, in a context that its callers choose",
          lines: subject.lines(ends[0].state.reads.map(\.pc)))
      }
      return CodeCheck(
        .hostSave, .fail, at: place,
        "the slots are \(subject.words(wrong)), not where __guest_exit restores them from",
        rule: .missedHostSave, lines: subject.lines(ends[0].state.reads.map(\.pc)))
    }
    return CodeCheck(
      .hostSave, .pass, at: place,
      "ten registers, each stored to its own slot"
        + (saver.isLocal ? "" : ", " + bases.map { subject.words($0) }.joined(separator: " or ")),
      lines: subject.lines(ends[0].state.reads.map(\.pc)))
  }

  /// The context that guest exit restores from, or one that only a pointer read at run time tells.
  private func isHostContext(_ base: Address, _ saver: Saver) -> Bool {
    guard let offsets = subject.offsets else { return true }
    switch base.symbol {
    case .perCPU:
      let copies = subject.copies.filter { ($0.name == "nVHE") == saver.isNVHE }
      let restored = copies.flatMap { copy in
        GuestSwitchChecks(subject: subject, copy: copy).restoreBases
      }
      let possible = copies.flatMap(subject.hostBases)
      // A restore from elsewhere is that one's fault (S3).
      return restored.contains(base)
        || !restored.contains(where: possible.contains) && possible.contains(base)
    case .word(let pointer):
      guard case .argument = pointer.symbol else { return true }
      return offsets.hostContextPointer == pointer.offset && base.offset == offsets.slots[0]
    case .argument: return false
    case .stack, .narrow, .hcr, .virtualRegister, .lowerThread: return false
    case .result: return nvheDistance.map { $0 == base.offset } ?? true
    }
  }

  /// From where a pCPU's data of the nVHE copy begins (kvm_arm_hyp_percpu_base) to the host's first slot.
  private var nvheDistance: Int64? {
    guard let offsets = subject.offsets,
      let context = subject.image.addresses(of: "__kvm_nvhe_kvm_hyp_ctxt").first,
      let start = subject.image.addresses(of: "__kvm_nvhe___per_cpu_start").first
    else { return nil }
    return Int64(bitPattern: context &- start) &+ offsets.slots[0]
  }

  private func preemption(_ generation: Generation, _ savers: [Saver]) -> CodeCheck {
    let place = savers.map(\.function.name).joined(separator: ", ")
    let lines = subject.lines(savers.prefix(1).flatMap { $0.group.addresses.prefix(1) })
    switch generation.hostSave {
    case .preemptibleTrap:
      return CodeCheck(
        .preemption, .note, at: place.isEmpty ? "host save" : place,
        "called from handle_exit after preemption was enabled: so in every kernel of this generation, "
          + "and fixed by ef3e40a7ea8d", rule: .preemptibleHostSave, lines: lines)
    case .everyLoad:
      return CodeCheck(
        .preemption, .pass, at: place,
        "kvm_arch_vcpu_load runs with preemption disabled", lines: lines)
    case .hypTrap:
      return CodeCheck(
        .preemption, .pass, at: place, "the exit path at EL2 runs with interrupts masked",
        lines: lines)
    case .never, .everyEntry:
      return CodeCheck(.preemption, .notApplicable, at: "host save", "see S8")
    }
  }
}

extension GuestSwitchChecks {
  /// Where guest exit takes the host's keys from.
  var restoreBases: [Address] {
    var found: [Address] = []
    for end in exitEnds {
      if let base = restoreMapBase(end.state), !found.contains(base) { found.append(base) }
    }
    return found
  }
}

extension KernelFunctionSymbol {
  func contains(_ place: UInt64) -> Bool {
    place >= address && place - address < size
  }

  /// Guest entry and exit, and the nVHE copy of everything: no other level runs it.
  var isAtEL2: Bool { name.hasPrefix("__kvm_nvhe_") || name.hasPrefix("__guest_e") }
}

extension WalkEvent {
  /// The content of a key register went to an address that is not followed.
  var isLostStore: Bool {
    if case .keyStore(_, nil) = kind { true } else { false }
  }
}
