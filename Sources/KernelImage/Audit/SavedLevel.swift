import Ptrauth

/// A save that asks where the kernel runs (is_kernel_in_hyp_mode, 6.10 on): at EL2 the keys must go where the VHE copy
/// restores them from, at EL1 where the nVHE copy does.
///
///     mrs x0, CurrentEL
///     cmp x0, #8            EL2
///     b.eq ──▶ kvm_hyp_ctxt of this CPU
///     __kvm_nvhe_kvm_hyp_ctxt of this CPU
struct SavedLevel {
  let subject: AuditSubject

  /// CurrentEL.EL of EL2, in bits 3 and 2 (Arm ARM, C5.2.2).
  private static let el2: Int64 = 2 << 2

  /// - Parameter saver: whose walk is known.
  /// - Returns: nil where it saves in one context alone that is meant for both, or in each where it should.
  func check(_ saver: HostSaveChecks.Saver) -> CodeCheck? {
    let restored = subject.copies.filter { $0.name != "nVHE" }.flatMap { copy in
      GuestSwitchChecks(subject: subject, copy: copy).restoreBases
    }
    let bases = saver.walk.map(bases) ?? []
    guard !saver.isNVHE, bases.contains(where: \.isOfNVHE),
      subject.copies.contains(where: { $0.name == "nVHE" && subject.switches($0) })
    else { return nil }
    var isRight = false
    for fork in forks(in: saver.function) {
      let (atEL2, atEL1) = (self.bases(from: fork.el2, saver), self.bases(from: fork.el1, saver))
      guard !atEL2.isEmpty, !atEL1.isEmpty else { continue }
      if atEL1.allSatisfy(restored.contains), !atEL2.contains(where: restored.contains) {
        return CodeCheck(
          .hostSave, .fail, at: saver.function.name,
          "a kernel at EL2 (VHE) stores them where the nVHE copy restores from, and one at EL1 where the VHE copy does",
          rule: .missedHostSave, lines: subject.lines([fork.place - 8, fork.place - 4, fork.place]))
      }
      isRight =
        isRight || atEL2.allSatisfy(restored.contains) && atEL1.allSatisfy(\.isOfNVHE)
    }
    guard !isRight else { return nil }
    return CodeCheck(
      .hostSave, .cannotJudge, at: saver.function.name,
      "ten registers, each stored to its own slot; whether in the VHE copy's context at EL2 and in the nVHE copy's at EL1 "
        + "was not followed",
      lines: subject.lines(saver.group.addresses.prefix(1)))
  }

  private struct Fork {
    var place: UInt64
    var el2: UInt64
    var el1: UInt64
  }

  /// Branches on CurrentEL: the comparison and the branch a few instructions behind the read.
  private func forks(in function: KernelFunctionSymbol) -> [Fork] {
    let words = subject.image.words(of: function) ?? []
    let code = words.enumerated().map {
      A64Instruction($0.element, at: function.address + UInt64($0.offset) * 4)
    }
    return code.indices.compactMap { index in
      guard case .readSystem(A64.SystemRegister.currentEL, let level) = code[index] else {
        return nil
      }
      let next = code[index...].dropFirst().prefix(6)
      let compared = next.firstIndex { instruction in
        guard case .addImmediate(_, level, let value, _, true) = instruction else {
          return false
        }
        return value == -Self.el2
      }
      guard let compared,
        let branch = code[compared...].dropFirst().prefix(4).firstIndex(where: { instruction in
          if case .branchIf = instruction { true } else { false }
        }), case .branchIf(let condition, let target) = code[branch],
        condition == .equal || condition == .notEqual
      else { return nil }
      let place = function.address + UInt64(branch) * 4
      return condition == .equal
        ? Fork(place: place, el2: target, el1: place + 4)
        : Fork(place: place, el2: place + 4, el1: target)
    }
  }

  /// Where keys are stored by what begins there.
  private func bases(from start: UInt64, _ saver: HostSaveChecks.Saver) -> [Address] {
    var walk = subject.codeWalk
    walk.stepLimit = 100_000
    walk.stopsAfterSave = true
    walk.keepsNull = true
    let result = walk.walk(from: start, in: saver.function)
    return result.isComplete ? bases(result) : []
  }

  private func bases(_ result: PathWalk.Result) -> [Address] {
    let checks = HostSaveChecks(subject: subject)
    var found: [Address] = []
    for end in result.ends.inOrder where end.kind != .traps && end.state.hasStoredAll {
      if let base = checks.storeMap(end.state).base, !found.contains(base) { found.append(base) }
    }
    return found
  }
}

extension Address {
  /// Behind a pointer that only running code knows: kvm_arm_hyp_percpu_base[cpu].
  fileprivate var isOfNVHE: Bool { if case .result = symbol { true } else { false } }
}
