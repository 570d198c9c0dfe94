import Ptrauth

/// S10: API and APK are set together where the generation sets them, and cleared at load where it is lazy.
struct EnableChecks {
  let subject: AuditSubject
  let generation: Generation

  func checks(_ savers: [HostSaveChecks.Saver]) -> [CodeCheck] {
    var checks: [CodeCheck] = []
    let enablers: [String] =
      switch generation.hostSave {
      case .preemptibleTrap: ["kvm_arm_vcpu_ptrauth_trap"]
      case .everyLoad where generation.load == .clears: ["kvm_arm_vcpu_ptrauth_trap"]
      case .everyLoad: ["kvm_arch_vcpu_load", "vcpu_set_pauth_traps"]
      default: savers.map(\.function.name)
      }
    for name in enablers {
      for function in subject.image.functions(called: name)
      where function.name == name {
        checks.append(
          sets(function, savers.first { $0.function.address == function.address }?.walk))
      }
    }
    if generation.hostSave == .hypTrap { checks += savers.compactMap(skips) }
    if generation.load == .clears { checks.append(clears()) }
    return checks
  }

  /// Where the trap handler at EL2 saves and enables, one without the other; whether that way is ever taken,
  /// the code alone does not say.
  private func skips(_ saver: HostSaveChecks.Saver) -> CodeCheck? {
    let walk =
      saver.walk ?? subject.codeWalk.walk(from: saver.function.address, in: saver.function)
    let enabled = walk.ends.filter { $0.kind != .traps }.inOrder.first { end in
      end.state.reads.isEmpty
        && end.state.events.contains {
          guard case .hcrBits(_, let set) = $0.kind else { return false }
          return set & GuardChecks.both == GuardChecks.both
        }
    }
    guard let enabled else { return nil }
    return CodeCheck(
      .hostSave, .cannotJudge, at: saver.function.name,
      "a way through it sets API and APK in HCR_EL2 and saves no key",
      lines: subject.lines([enabled.state.pc]))
  }

  private func sets(_ function: KernelFunctionSymbol, _ walked: PathWalk.Result?) -> CodeCheck {
    let constants = orrs(in: function)
    // Every path of the function only where it takes that.
    var whole = walked
    func walk() -> PathWalk.Result {
      let result = whole ?? subject.codeWalk.walk(from: function.address, in: function)
      whole = result
      return result
    }
    func found(_ matches: (WalkEvent) -> Bool) -> WalkEvent? {
      if let whole, let event = events(of: whole).first(where: matches) { return event }
      return near(constants, in: function, matches) ?? events(of: walk()).first(where: matches)
    }
    let shadow = found {
      isShadow($0) { _, set in set & GuardChecks.both == GuardChecks.both }
    }
    let needsLive = generation.hostSave == .hypTrap
    let live =
      needsLive
      ? found {
        if case .hcrBits(_, let set) = $0.kind {
          set & GuardChecks.both == GuardChecks.both
        } else {
          false
        }
      } : nil
    let lines = subject.lines(
      [shadow?.pc, live?.pc].compactMap(\.self).flatMap { [$0 - 8, $0 - 4, $0] })
    guard shadow != nil, live != nil || !needsLive else {
      guard walk().isComplete, subject.offsets?.shadow != nil, !subject.image.hasForeignTypes,
        !subject.walk.alternatives.isEmpty
      else {
        return CodeCheck(
          .enable, .cannotJudge, at: function.name, "not every path could be followed")
      }
      // An image whose data was left out does not say which static keys open a way.
      if !constants.isEmpty, shadow == nil {
        return CodeCheck(
          .enable, .cannotJudge, at: function.name,
          "the bits are set, but where could not be followed", lines: subject.lines(constants))
      }
      let writes = shadow == nil ? [] : liveWrites(in: function, walk())
      guard writes.isEmpty else {
        return CodeCheck(
          .enable, .cannotJudge, at: function.name,
          "what is written to HCR_EL2 could not be followed", lines: subject.lines(writes))
      }
      return CodeCheck(
        .enable, .fail, at: function.name,
        shadow == nil
          ? "no path sets API and APK in the shadow of HCR_EL2"
          : "the shadow is set, HCR_EL2 is not: the guest traps again",
        rule: shadow == nil ? .bitsDiffer : .trapWhileEnabled, lines: lines)
    }
    let statement = "sets API and APK together in the shadow" + (needsLive ? " and in HCR_EL2" : "")
    if let shadow,
      let objection = features.objection(
        toSet: shadow.pc, in: function, answersTrap: needsLive)
    {
      return CodeCheck(
        .enable, objection.outcome, at: function.name, statement + ", but " + objection.statement,
        rule: objection.rule, lines: lines)
    }
    return CodeCheck(.enable, .pass, at: function.name, statement, lines: lines)
  }

  private var features: FeatureChecks { FeatureChecks(subject: subject) }

  private func events(of walk: PathWalk.Result) -> [WalkEvent] {
    walk.ends.filter { $0.kind != .traps }.flatMap(\.state.events).distinct.sorted { $0.pc < $1.pc }
  }

  /// MSR HCR_EL2 in what was walked, or in the function.
  private func liveWrites(
    in function: KernelFunctionSymbol, _ walk: PathWalk.Result
  ) -> [UInt64] {
    let own = stride(from: function.address, to: function.address + function.size, by: 4)
    return walk.visited.union(own).sorted().filter { place in
      guard let word = subject.image.code(at: place, count: 1)?.first,
        case .writeSystem(A64.SystemRegister.hcrEL2, _) = A64Instruction(word, at: place)
      else { return false }
      return true
    }
  }

  /// What happens behind one of some places, walked from the blocks in front of it.
  private func near(
    _ places: [UInt64], in function: KernelFunctionSymbol, _ matches: (WalkEvent) -> Bool
  ) -> WalkEvent? {
    guard !places.isEmpty else { return nil }
    let order = BlockOrder(function, in: subject)
    for place in places {
      for start in order.blocks(before: place, atMost: 12) {
        let found = events(of: local.walk(from: start, in: function)).first(where: matches)
        if let found { return found }
      }
    }
    return nil
  }

  /// From the middle of a function on, no further than needed.
  private var local: PathWalk {
    var walk = subject.codeWalk
    walk.stepLimit = 8_000
    return walk
  }

  private func isShadow(
    _ event: WalkEvent, _ matches: (_ mask: UInt64, _ set: UInt64) -> Bool
  ) -> Bool {
    guard case .wordBits(let address, let mask, let set) = event.kind, matches(mask, set) else {
      return false
    }
    guard case .argument = address.symbol, let shadow = subject.offsets?.shadow else { return true }
    return address.offset == shadow
  }

  private func clears() -> CodeCheck {
    let place = "kvm_arch_vcpu_load"
    guard
      let function = subject.image.functions(called: place).first(where: {
        $0.name == place
      })
    else { return CodeCheck(.enable, .cannotJudge, at: place, "no such function") }
    // The clear is a few instructions in a function with many branches that concern other things: each
    // place that masks both bits out is walked from the blocks in front of it, on its own.
    let clearing = { (mask: UInt64, set: UInt64) in (mask | set) & GuardChecks.both == 0 }
    var walk = local
    walk.stopsAt = { kind in
      if case .wordBits(_, let mask, let set) = kind { clearing(mask, set) } else { false }
    }
    let parts = callees(of: function)
    var candidates: [UInt64] = []
    var isFollowed = true
    for part in parts {
      let order = BlockOrder(part, in: subject)
      for mask in masks(in: part) {
        candidates.append(mask)
        for (distance, start) in order.blocks(before: mask, atMost: 12).enumerated() {
          let result = walk.walk(from: start, in: part)
          let stores = events(of: result).filter { event in
            if case .wordBits(_, let kept, let set) = event.kind {
              clearing(kept, set)
            } else {
              false
            }
          }
          if let clear = stores.first(where: { isShadow($0, clearing) }) {
            return cleared(in: function, clear.pc, subject.lines([mask - 4, mask, clear.pc]))
          }
          // From its own block on, all that can become of the mask was seen.
          if distance == 0 {
            isFollowed =
              isFollowed && result.isComplete && stores.isEmpty
              && shadowStores(in: part).isDisjoint(with: result.visited)
          }
        }
      }
      isFollowed = isFollowed && !hasOtherMasks(part)
    }
    guard !subject.walk.alternatives.isEmpty else {
      return CodeCheck(
        .enable, .cannotJudge, at: place,
        "the file has no .altinstructions: not every path is known",
        lines: subject.lines(candidates))
    }
    guard isFollowed, !subject.image.hasForeignTypes || candidates.isEmpty else {
      return CodeCheck(
        .enable, .cannotJudge, at: place,
        "whether the shadow gets a value without API and APK could not be followed",
        lines: subject.lines(candidates))
    }
    return CodeCheck(
      .enable, .fail, at: place,
      candidates.isEmpty
        ? "nothing clears API and APK: they stay set from the last load"
        : "API and APK are masked out, but the shadow does not get the result",
      rule: .staleEnable, lines: subject.lines(candidates))
  }

  private func cleared(
    in function: KernelFunctionSymbol, _ store: UInt64, _ lines: [CodeLine]
  ) -> CodeCheck {
    guard let objection = features.objection(toClear: store, in: function) else {
      return CodeCheck(
        .enable, .pass, at: function.name, "clears API and APK, so that the first use traps",
        lines: lines)
    }
    return CodeCheck(
      .enable, objection.outcome, at: function.name,
      "clears API and APK, but " + objection.statement,
      rule: objection.rule, lines: lines)
  }

  /// Stores of 64 bits as far from a base as the shadow is from struct kvm_vcpu.
  private func shadowStores(in function: KernelFunctionSymbol) -> Set<UInt64> {
    Set(
      places(in: function) { instruction in
        guard case .store(let access) = instruction else { return false }
        return access.size == 8 && access.offset == subject.offsets?.shadow
      })
  }

  /// Ways to clear or set both bits that are no AND with a constant: the constant in a register, a bit field
  /// move over them.
  private func hasOtherMasks(_ function: KernelFunctionSymbol) -> Bool {
    let words = subject.image.words(of: function) ?? []
    return words.contains { word in
      switch A64Instruction(word, at: function.address) {
      case .moveConstant(_, let value), .moveKeep(_, let value, _, _),
        .logicalImmediate(.or, _, A64.stackOrZero, let value, true):
        // A small negative number is no mask.
        let sets = value & GuardChecks.both == GuardChecks.both && value >> 42 != 0x3f_ffff
        let clears = value & GuardChecks.both == 0 && value.nonzeroBitCount > 32
        return sets || clears
      default:
        // BFM Xd, Xn, #immr, #imms as BFI or BFC: imms + 1 bits from 64 - immr on.
        guard word & 0xffc0_0000 == 0xb340_0000 else { return false }
        let (rotation, last) = (UInt64(word >> 16 & 0x3f), UInt64(word >> 10 & 0x3f))
        guard rotation > last else { return false }
        let low = 64 - rotation
        return low <= 40 && low + last >= 41
      }
    }
  }

  /// The function, what was split from it, and the functions for pointer authentication that it calls.
  private func callees(of function: KernelFunctionSymbol) -> [KernelFunctionSymbol] {
    var found = subject.image.functions(called: function.name)
    var next = 0
    while next < found.count, found.count < 32 {
      let words = subject.image.words(of: found[next]) ?? []
      for (index, word) in words.enumerated() {
        let target: UInt64
        switch A64Instruction(word, at: found[next].address + UInt64(index) * 4) {
        case .call(let address), .branch(let address): target = address
        default: continue
        }
        guard let callee = subject.image.function(at: target), callee.offset == 0,
          ["ptrauth", "pauth"].contains(where: { callee.name.contains($0) }),
          !found.contains(where: { $0.address == callee.address })
        else { continue }
        found.append(callee)
      }
      next += 1
    }
    return found
  }

  /// Where both bits are masked out: AND with the inverse, or BIC.
  private func masks(in function: KernelFunctionSymbol) -> [UInt64] {
    places(in: function) { instruction in
      switch instruction {
      case .logicalImmediate(.and, _, _, let mask, true):
        mask & GuardChecks.both == 0 && mask & ~GuardChecks.both != 0 && mask.nonzeroBitCount > 32
      default: false
      }
    }
  }

  private func orrs(in function: KernelFunctionSymbol) -> [UInt64] {
    places(in: function) { instruction in
      if case .logicalImmediate(.or, _, _, GuardChecks.both, _) = instruction {
        true
      } else {
        false
      }
    }
  }

  private func places(
    in function: KernelFunctionSymbol, where matches: (A64Instruction) -> Bool
  ) -> [UInt64] {
    let words = subject.image.words(of: function) ?? []
    return words.indices.map { function.address + UInt64($0) * 4 }.filter { address in
      matches(A64Instruction(words[Int((address - function.address) / 4)], at: address))
    }
  }
}
