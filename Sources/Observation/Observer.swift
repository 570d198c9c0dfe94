public import Ptrauth

/// Follows vCPUs through all that is possible, under every hypothesis at once.
///
/// A belief is a number, and an event takes it to another by a table that is filled as events ask for it: the work of
/// the model is done once for each pair that occurs, of which there are a few thousand.
///
/// This is the diagnoser of a discrete-event system (Sampath, Sengupta, Lafortune, Sinnamohideen and Teneketzis,
/// "Diagnosability of discrete-event systems", 1995), built lazily.
public struct Observer: Sendable {
  public let hypotheses: [Hypothesis]
  /// All that a vCPU can ever be, by hypothesis.
  private let reachable: [WorldSet]
  private var beliefs: [[WorldSet]] = []
  private var numbers: [[WorldSet]: UInt32] = [:]
  /// By belief and symbol; nil: not asked yet.
  private var updates: [Update?] = []
  /// By what they are origins in, of and by.
  private var origins: [UInt64: Belief] = [:]
  /// Anything is possible; the vCPU has the feature, or lacks it; it is not made yet.
  public private(set) var anything: Belief
  public private(set) var unborn: Belief

  /// More beliefs than this are not kept apart: what leads to another one leads to ``anything``.
  package static let limit = 1 << 14

  public init(_ hypotheses: [Hypothesis]) {
    let bank = Array(hypotheses.prefix(HypothesisSet.limit))
    self.hypotheses = bank
    let births = WorldSet([VCPUWorld(hasFeature: true), VCPUWorld(hasFeature: false)])
    reachable = bank.map { $0.reachable(from: births) }
    anything = Belief(id: 0)
    unborn = Belief(id: 0)
    anything = belief(reachable)
    unborn = belief(bank.map { _ in births })
  }

  public var all: HypothesisSet {
    hypotheses.indices.reduce(into: HypothesisSet()) { $0.insert(HypothesisSet(place: $1)) }
  }

  /// All that no fault was planted in.
  public var standards: HypothesisSet {
    hypotheses.indices.reduce(into: HypothesisSet()) { set, place in
      if hypotheses[place].fault == nil { set.insert(HypothesisSet(place: place)) }
    }
  }

  /// The belief behind an event.
  public mutating func update(_ belief: Belief, _ symbol: Symbol) -> Update {
    let place = Int(belief.id) * Symbol.count + symbol.code
    if let known = updates[place] { return known }
    let found = compute(belief, symbol)
    updates[place] = found
    return found
  }

  private mutating func compute(_ belief: Belief, _ symbol: Symbol) -> Update {
    var refuted = HypothesisSet()
    var isOutOfPlace = false
    let before = beliefs[Int(belief.id)]
    var after: [WorldSet] = []
    for (i, hypothesis) in hypotheses.enumerated() {
      var worlds = hypothesis.step(before[i], symbol)
      if worlds.isEmpty {
        // A fault under which not even the order is possible is refuted where the standard allows it.
        if hypothesis.fault == nil, !hypothesis.isInOrder(symbol.kind, behind: before[i]) {
          isOutOfPlace = true
        } else {
          refuted.insert(HypothesisSet(place: i))
        }
        // The bits are others than they can be; it is where it was. If not that either: whatever happened, it has the
        // feature or lacks it as before.
        let any = reachable[i].ofFeature(as: before[i])
        worlds = hypothesis.step(before[i].withAnyBits, symbol)
        if worlds.isEmpty { worlds = hypothesis.step(any, symbol) }
        if worlds.isEmpty { worlds = hypothesis.step(any.withAnyBits, symbol) }
        if worlds.isEmpty { worlds = any }
      }
      after.append(worlds)
    }
    if isOutOfPlace { refuted = [] }
    var expected = EnableBits.unknown
    var undecided = HypothesisSet()
    if symbol.isSampled, !isOutOfPlace {
      for (i, hypothesis) in hypotheses.enumerated() where hypothesis.fault == nil {
        let found = hypothesis.found(before[i], by: symbol.kind) ?? .unknown
        if i == 0 {
          expected = found
        } else if found != expected {
          undecided.insert(HypothesisSet(place: i))
        }
      }
    }
    return Update(
      belief: self.belief(after), refuted: refuted, isOutOfPlace: isOutOfPlace, expected: expected,
      undecided: undecided)
  }

  private mutating func belief(_ worlds: [WorldSet]) -> Belief {
    if let known = numbers[worlds] { return Belief(id: known) }
    guard beliefs.count < Self.limit else { return anything }
    let id = UInt32(beliefs.count)
    numbers[worlds] = id
    beliefs.append(worlds)
    updates.append(contentsOf: repeatElement(nil, count: Symbol.count))
    return Belief(id: id)
  }

  /// What of a belief an event takes to something of `next`.
  mutating func origins(in before: Belief, of next: Belief, by symbol: Symbol) -> Belief {
    let key = UInt64(before.id) << 40 | UInt64(next.id) << 8 | UInt64(symbol.code)
    if let known = origins[key] { return known }
    let worlds = hypotheses.enumerated().map { i, hypothesis in
      let next = beliefs[Int(next.id)][i]
      return WorldSet(
        beliefs[Int(before.id)][i].filter { world in
          hypothesis.successors(of: world, symbol).contains(where: next.contains)
        })
    }
    // (All of it, where there is no room for less.)
    let found =
      beliefs.count < Self.limit ? belief(worlds) : numbers[worlds].map(Belief.init) ?? before
    origins[key] = found
    return found
  }

  /// API and APK of the shadow, where all of these hypotheses agree.
  public func shadow(_ belief: Belief, of set: HypothesisSet) -> EnableBits {
    agreed(belief, of: set) { $0.shadow }
  }

  /// HCR_EL2's API and APK in the CPU, where the vCPU is in the guest whatever is true.
  public func live(_ belief: Belief, of set: HypothesisSet) -> EnableBits {
    agreed(belief, of: set) { $0.live }
  }

  /// Whether vcpu_has_ptrauth() answers yes.
  public func feature(_ belief: Belief, of set: HypothesisSet) -> Bit {
    agreed(belief, of: set) { worlds in
      let has = EnableBits(api: worlds.feature, apk: .unknown)
      return worlds.isEmpty ? nil : has
    }.api
  }

  private func agreed(
    _ belief: Belief, of set: HypothesisSet, _ bits: (WorldSet) -> EnableBits?
  ) -> EnableBits {
    var agreed: EnableBits?
    for (i, worlds) in beliefs[Int(belief.id)].enumerated() where set.contains(place: i) {
      guard let own = bits(worlds) else { continue }
      agreed = agreed?.agreeing(with: own) ?? own
    }
    return agreed ?? .unknown
  }

  /// How many beliefs were needed so far.
  public var beliefCount: Int { beliefs.count }
}

extension Hypothesis {
  /// The event can come here, whatever the bits are.
  func isInOrder(_ kind: Symbol.Kind, behind worlds: WorldSet) -> Bool {
    // Of an exit that was seen; that it was no ptrauth trap was a conclusion from the bits.
    if kind == .wasKeyRegister { return worlds.contains { !$0.place.isInGuest } }
    return !step(worlds.withAnyBits, Symbol(kind)).isEmpty
  }

  func step(_ worlds: WorldSet, _ symbol: Symbol) -> WorldSet {
    var after = WorldSet()
    for world in worlds {
      for next in successors(of: world, symbol) { after.insert(next) }
    }
    return after
  }

  /// Whatever happens.
  func reachable(from births: WorldSet) -> WorldSet {
    var all = births
    var fresh = births
    while !fresh.isEmpty {
      var found = WorldSet()
      for kind in Symbol.Kind.allCases { found.formUnion(step(fresh, Symbol(kind))) }
      fresh = WorldSet(found.filter { !all.contains($0) })
      all.formUnion(fresh)
    }
    return all
  }
}

extension EnableBits {
  /// Each bit in which both are the same.
  fileprivate func agreeing(with other: EnableBits) -> EnableBits {
    EnableBits(
      api: api == other.api ? api : .unknown, apk: apk == other.apk ? apk : .unknown)
  }
}

extension WorldSet {
  /// The shadow in all of them; nil: there is none.
  var shadow: EnableBits? { agreed(\.shadow) }

  /// HCR_EL2 in the CPU, in all of them: known only of a guest.
  var live: EnableBits? {
    contains { !$0.place.isInGuest } ? .unknown : agreed(\.live)
  }

  /// vcpu_has_ptrauth().
  var feature: Bit {
    guard let first = first(where: { _ in true })?.hasFeature else { return .unknown }
    return allSatisfy { $0.hasFeature == first } ? Bit(first) : .unknown
  }

  private func agreed(_ pair: KeyPath<VCPUWorld, VCPUWorld.Pair>) -> EnableBits? {
    var bits: EnableBits?
    for world in self {
      let own = world[keyPath: pair].bits
      bits = bits?.agreeing(with: own) ?? own
    }
    return bits
  }

  /// Those that have the feature if some of `others` have, and lack it if some lack it.
  func ofFeature(as others: WorldSet) -> WorldSet {
    WorldSet(filter { world in others.contains { $0.hasFeature == world.hasFeature } })
  }

  /// The same places, with whatever bits.
  var withAnyBits: WorldSet {
    var all = WorldSet()
    for world in self {
      for shadow in VCPUWorld.Pair.all {
        for live in VCPUWorld.Pair.all {
          all.insert(
            VCPUWorld(hasFeature: world.hasFeature, shadow: shadow, live: live, place: world.place))
        }
      }
    }
    return all
  }
}
