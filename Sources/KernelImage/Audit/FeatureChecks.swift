import Ptrauth

/// For whom a function sets or clears API and APK: vCPUs with ptrauth. A test the wrong way round, or a branch past the
/// code, leaves every instruction of it as it was.
struct FeatureChecks {
  let subject: AuditSubject

  /// What speaks against a store to the shadow; nil: nothing, as far as the ways to it could be followed.
  struct Objection {
    var outcome: CodeCheck.Outcome
    var rule: Rule?
    var statement: String
  }

  static let unreached =
    "its code is not reached in this file; a static key may open the way at run time"

  private static let contradiction = Objection(
    outcome: .cannotJudge,
    statement:
      "every way there takes one of the vCPU's two ptrauth features for set and one for clear, "
      + "which no vCPU has"
  )

  /// - Parameter store: the instruction that clears the bits, in the function or in what it calls.
  func objection(toClear store: UInt64, in function: KernelFunctionSymbol) -> Objection? {
    guard let result = walk(function, before: nil) else { return nil }
    guard result.visited.contains(store) else {
      return Objection(outcome: .cannotJudge, statement: Self.unreached)
    }
    let storing = storing(store, result)
    let answers = answers(storing, among: result)
    guard !answers.isEmpty else { return storing.isEmpty ? nil : Self.contradiction }
    if answers.allSatisfy({ $0 == .absent }) {
      return fault(.staleEnable, "only vCPUs without ptrauth come there")
    }
    let others = self.answers(
      result.ends.filter { $0.kind != .traps && !storing.contains($0) }, among: result)
    // A host that lacks ptrauth may leave it out behind that question.
    if others.contains(.present) {
      return Objection(
        outcome: .cannotJudge, statement: "a way of vCPUs with ptrauth leaves it out")
    }
    return answers.contains(.present) || others.allSatisfy { $0 == .absent }
      ? nil
      : Objection(
        outcome: .cannotJudge,
        statement: "some ways leave it out, and none was seen to ask whether the vCPU has ptrauth")
  }

  /// - Parameters:
  ///   - store: the instruction that sets the bits, in the function or in what it calls.
  ///   - answersTrap: The function says whether the trap was handled.
  func objection(
    toSet store: UInt64, in function: KernelFunctionSymbol, answersTrap: Bool
  ) -> Objection? {
    guard let before = walk(function, before: store) else { return nil }
    let coming = before.ends.filter { $0.state.pc == store }
    guard !coming.isEmpty else {
      return Objection(outcome: .cannotJudge, statement: Self.unreached)
    }
    let answers = answers(coming, among: before)
    guard !answers.isEmpty else { return Self.contradiction }
    guard answers.contains(.present) else {
      return answers.allSatisfy { $0 == .absent }
        ? fault(.switchWithoutFeature, "only vCPUs without ptrauth come there")
        : Objection(
          outcome: .cannotJudge,
          statement: "no way there was seen to ask whether the vCPU has ptrauth")
    }
    guard answersTrap, let whole = walk(function, before: nil) else { return nil }
    let returning = storing(store, whole).filter { $0.kind == .returns }
    guard !returning.isEmpty, returning.allSatisfy({ $0.state[0] == .constant(0) }) else {
      return nil
    }
    return fault(.featureDenied, "says that it did not handle the trap: the guest gets UNDEF")
  }

  private func fault(_ rule: Rule, _ statement: String) -> Objection {
    subject.image.hasForeignTypes
      ? Objection(outcome: .cannotJudge, statement: statement)
      : Objection(outcome: .fail, rule: rule, statement: statement)
  }

  /// What ways of a function assume of the vCPU; those left out that no vCPU takes.
  private func answers(
    _ ends: [WalkEnd], among result: PathWalk.Result
  ) -> [VirtualFeature.Answer] {
    let feature = VirtualFeature.pointerAuth(subject.image, vcpu: 0)
      .asked(by: result.ends.filter { $0.kind != .traps })
    return ends.map { feature.answer($0.state.conditions) }.filter { $0 != .impossible }
  }

  private func storing(_ store: UInt64, _ result: PathWalk.Result) -> [WalkEnd] {
    result.ends.filter { end in
      end.kind != .traps
        && end.state.events.contains { event in
          if case .stored = event.kind { event.pc == store } else { false }
        }
    }
  }

  /// All ways of a function, or those to a place; nil: they could not all be followed.
  private func walk(_ function: KernelFunctionSymbol, before place: UInt64?) -> PathWalk.Result? {
    guard let shadow = subject.offsets?.shadow, !subject.walk.alternatives.isEmpty else {
      return nil
    }
    var walk = subject.codeWalk
    walk.inlineLimit = 64
    walk.stepLimit = 200_000
    walk.stopsBefore = place
    walk.attention = Attention(
      word: Address(symbol: .argument(0), offset: shadow), bits: GuardChecks.both,
      tested: VirtualFeature.pointerAuth(subject.image, vcpu: 0).asks, testsAnyBits: true)
    let result = walk.walk(from: function.address, in: function)
    return result.isComplete ? result : nil
  }
}

extension VirtualFeature {
  /// A word that may say it.
  func asks(_ symbol: Symbol) -> Bool {
    guard case .word(let address) = symbol else { return false }
    return covers(address)
  }
}
