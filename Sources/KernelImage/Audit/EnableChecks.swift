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
      for function in subject.image.symbols?.functions(called: name) ?? []
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
    let enabled = saver.walk.ends.filter { $0.kind != .traps }.inOrder.first { end in
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
    let walk = walked ?? subject.codeWalk.walk(from: function.address, in: function)
    let events = Set(walk.ends.filter { $0.kind != .traps }.flatMap(\.state.events))
      .sorted { $0.pc < $1.pc }
    let shadow = events.first {
      isShadow($0) { _, set in set & GuardChecks.both == GuardChecks.both }
    }
    let live = events.first {
      if case .hcrBits(_, let set) = $0.kind {
        set & GuardChecks.both == GuardChecks.both
      } else {
        false
      }
    }
    let needsLive = generation.hostSave == .hypTrap
    let lines = subject.lines(
      [shadow?.pc, live?.pc].compactMap(\.self).flatMap { [$0 - 8, $0 - 4, $0] })
    guard shadow != nil, live != nil || !needsLive else {
      guard walk.isComplete, subject.offsets?.shadow != nil,
        !subject.walk.alternatives.isEmpty
      else {
        return CodeCheck(
          .enable, .cannotJudge, at: function.name, "not every path could be followed")
      }
      // An image whose data was left out does not say which static keys open a way.
      let constants = orrs(in: function)
      if !constants.isEmpty, shadow == nil {
        return CodeCheck(
          .enable, .cannotJudge, at: function.name,
          "the bits are set, but where could not be followed", lines: subject.lines(constants))
      }
      return CodeCheck(
        .enable, .fail, at: function.name,
        shadow == nil
          ? "no path sets API and APK in the shadow of HCR_EL2"
          : "the shadow is set, HCR_EL2 is not: the guest traps again",
        rule: shadow == nil ? .bitsDiffer : .trapWhileEnabled, lines: lines)
    }
    return CodeCheck(
      .enable, .pass, at: function.name,
      "sets API and APK together in the shadow" + (needsLive ? " and in HCR_EL2" : ""), lines: lines
    )
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
      let function = subject.image.symbols?.functions(called: place).first(where: {
        $0.name == place
      })
    else { return CodeCheck(.enable, .cannotJudge, at: place, "no such function") }
    // The clear is a few instructions in a function with many branches that concern other things: each
    // place that masks both bits out is walked from a little before it, on its own.
    let parts = callees(of: function)
    var candidates: [UInt64] = []
    for part in parts {
      for mask in masks(in: part) {
        candidates.append(mask)
        let start = max(part.address, mask - 16)
        let ends = subject.codeWalk.walk(from: start, in: part).ends
        let clear = ends.flatMap(\.state.events).filter {
          isShadow($0) { mask, set in (mask | set) & GuardChecks.both == 0 }
        }.map(\.pc).min()
        if let clear {
          return CodeCheck(
            .enable, .pass, at: place, "clears API and APK, so that the first use traps",
            lines: subject.lines([mask - 4, mask, clear]))
        }
      }
    }
    guard !subject.walk.alternatives.isEmpty else {
      return CodeCheck(
        .enable, .cannotJudge, at: place,
        "the file has no .altinstructions: not every path is known",
        lines: subject.lines(candidates))
    }
    return CodeCheck(
      .enable, .fail, at: place,
      candidates.isEmpty
        ? "nothing clears API and APK: they stay set from the last load"
        : "API and APK are masked out, but the shadow does not get the result",
      rule: .staleEnable, lines: subject.lines(candidates))
  }

  /// The function, what was split from it, and the functions for pointer authentication that it calls.
  private func callees(of function: KernelFunctionSymbol) -> [KernelFunctionSymbol] {
    var found = subject.image.symbols?.functions(called: function.name) ?? [function]
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
    constants(in: function) { instruction in
      switch instruction {
      case .logicalImmediate(.and, _, _, let mask, true):
        mask & GuardChecks.both == 0 && mask & ~GuardChecks.both != 0 && mask.nonzeroBitCount > 32
      default: false
      }
    }
  }

  private func orrs(in function: KernelFunctionSymbol) -> [UInt64] {
    constants(in: function) { instruction in
      if case .logicalImmediate(.or, _, _, GuardChecks.both, _) = instruction {
        true
      } else {
        false
      }
    }
  }

  private func constants(
    in function: KernelFunctionSymbol, where matches: (A64Instruction) -> Bool
  ) -> [UInt64] {
    let words = subject.image.words(of: function) ?? []
    return words.indices.map { function.address + UInt64($0) * 4 }.filter { address in
      matches(A64Instruction(words[Int((address - function.address) / 4)], at: address))
    }
  }
}
