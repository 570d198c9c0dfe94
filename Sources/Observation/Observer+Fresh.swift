public import Ptrauth
import Synchronization

extension Observer {
  private struct Kind: Hashable {
    var generation: Generation?
    var hasSErrors: Bool
  }

  /// All that can be is found once for each: that takes longer than to replay a short recording.
  private static let made = Mutex<[Kind: Observer]>([:])

  /// Before any event.
  ///
  /// - Parameters:
  ///   - generation: whose code is on trial; nil: any generation's.
  ///   - hasSErrors: see ``Hypothesis/withoutSErrors``.
  public static func fresh(of generation: Generation?, hasSErrors: Bool) -> Observer {
    let kind = Kind(generation: generation, hasSErrors: hasSErrors)
    return made.withLock { made in
      if let known = made[kind] { return known }
      let bank = generation.map { Hypothesis.bank(of: $0) } ?? Hypothesis.bankOfAll
      let observer = Observer(hasSErrors ? bank : bank.map(\.withoutSErrors))
      made[kind] = observer
      return observer
    }
  }
}
