import Ptrauth

/// For whom a function sets or clears API and APK: vCPUs with ptrauth. A test the wrong way round, or a branch past the
/// code, leaves every instruction of it as it was.
struct FeatureChecks {
  let subject: AuditSubject

  /// What speaks against a store to the shadow; nil: nothing, as far as the ways to it could be followed.
  struct Objection {
    var outcome: CodeCheck.Outcome
    var statement: String
  }

  static let unreached =
    "its code is not reached in this file; a static key may open the way at run time"

  /// - Parameter store: the instruction that stores the bits, in the function or in what it calls.
  func objection(to store: UInt64, in function: KernelFunctionSymbol) -> Objection? {
    guard let shadow = subject.offsets?.shadow, !subject.walk.alternatives.isEmpty else {
      return nil
    }
    let feature = VirtualFeature.pointerAuth(subject.image, vcpu: 0)
    var walk = subject.codeWalk
    walk.inlineLimit = 64
    walk.stepLimit = 200_000
    walk.attention = Attention(
      word: Address(symbol: .argument(0), offset: shadow), bits: GuardChecks.both,
      tested: feature.asks, testsAnyBits: true)
    let result = walk.walk(from: function.address, in: function)
    guard result.isComplete else { return nil }
    guard result.visited.contains(store) else {
      return Objection(outcome: .cannotJudge, statement: Self.unreached)
    }
    let ends = result.ends.filter { $0.kind != .traps }
    let asked = feature.asked(by: ends)
    let answers = ends.filter { end in
      end.state.events.contains { event in
        if case .stored = event.kind { event.pc == store } else { false }
      }
    }.map { asked.answer($0.state.conditions) }.filter { $0 != .impossible }
    guard !answers.isEmpty, answers.allSatisfy({ $0 == .absent }) else { return nil }
    return Objection(
      outcome: subject.image.hasForeignTypes ? .cannotJudge : .fail,
      statement: "only vCPUs without ptrauth come there")
  }
}

extension VirtualFeature {
  /// A word that may say it.
  func asks(_ symbol: Symbol) -> Bool {
    guard case .word(let address) = symbol else { return false }
    return covers(address)
  }
}
