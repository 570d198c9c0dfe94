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
    checks += handlers(enablers)
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

  func sets(_ function: KernelFunctionSymbol, _ walked: PathWalk.Result?) -> CodeCheck {
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

  var features: FeatureChecks { FeatureChecks(subject: subject) }

  func events(of walk: PathWalk.Result) -> [WalkEvent] {
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
  var local: PathWalk {
    var walk = subject.codeWalk
    walk.stepLimit = 8_000
    return walk
  }

  func isShadow(
    _ event: WalkEvent, _ matches: (_ mask: UInt64, _ set: UInt64) -> Bool
  ) -> Bool {
    guard case .wordBits(let address, let mask, let set) = event.kind, matches(mask, set) else {
      return false
    }
    guard case .argument = address.symbol, let shadow = subject.offsets?.shadow else { return true }
    return address.offset == shadow
  }

  /// The function, what was split from it, and the functions for pointer authentication that it calls.
  func callees(of function: KernelFunctionSymbol) -> [KernelFunctionSymbol] {
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
  func masks(in function: KernelFunctionSymbol) -> [UInt64] {
    places(in: function) { instruction in
      switch instruction {
      case .logicalImmediate(.and, _, _, let mask, true):
        mask & GuardChecks.both == 0 && mask & ~GuardChecks.both != 0 && mask.nonzeroBitCount > 32
      default: false
      }
    }
  }

  func orrs(in function: KernelFunctionSymbol) -> [UInt64] {
    places(in: function) { instruction in
      if case .logicalImmediate(.or, _, _, GuardChecks.both, _) = instruction {
        true
      } else {
        false
      }
    }
  }

  func places(
    in function: KernelFunctionSymbol, where matches: (A64Instruction) -> Bool
  ) -> [UInt64] {
    let words = subject.image.words(of: function) ?? []
    return words.indices.map { function.address + UInt64($0) * 4 }.filter { address in
      matches(A64Instruction(words[Int((address - function.address) / 4)], at: address))
    }
  }
}
