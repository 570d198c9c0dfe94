/// The open end of one vCPU's events, kept until what the later ones prove of the earlier is asked for.
///
///     forwards     b0 ─s1─▶ b1 ─s2─▶ b2 ─s3─▶ b3     what came before leaves possible
///     backwards    c0 ◀──── c1 ◀──── c2 ◀──── b3     and of that, what leads to what came after
public struct Trellis: Sendable {
  private struct Step {
    var before: Belief
    var symbol: Symbol
    var after: Belief
  }

  private var steps: [Step] = []
  /// How many steps were forgotten.
  private var first = 0

  public init() {}

  /// Steps are numbered from 0; the next one's number.
  public var end: Int { first + steps.count }
  public var count: Int { steps.count }

  public mutating func append(_ before: Belief, _ symbol: Symbol, _ after: Belief) {
    steps.append(Step(before: before, symbol: symbol, after: after))
  }

  /// What those before `limit` leave possible behind each, the newest first: from `limit` on events are missing, and what
  /// came behind them proves nothing of what was before.
  public func smooth(
    _ observer: inout Observer, before limit: Int = .max, _ body: (_ step: Int, Belief) -> Void
  ) {
    let kept = steps.prefix(max(0, min(steps.count, limit - first)))
    guard var behind = kept.last?.after else { return }
    for (place, step) in kept.enumerated().reversed() {
      body(first + place, behind)
      behind = observer.origins(in: step.before, of: behind, by: step.symbol)
    }
  }

  /// The steps so far have nothing to do with those to come.
  public mutating func cut() {
    first += steps.count
    steps.removeAll(keepingCapacity: true)
  }
}
