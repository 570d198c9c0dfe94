import Ptrauth

// The load of a lazy generation clears both bits.
extension EnableChecks {
  func clears() -> CodeCheck {
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

  func cleared(
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
}
