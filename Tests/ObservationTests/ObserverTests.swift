import Explorer
import Observation
import Ptrauth
import Testing

struct ObserverTests {
  /// The observer after these events of one vCPU with the feature, and what the last of them did.
  private func after(
    _ symbols: [Symbol], _ generation: Generation = .g2, faults: [Fault] = Fault.all
  ) -> (last: Update?, alive: Set<String>) {
    var observer = Observer(Hypothesis.bank(of: generation, faults: faults))
    var belief = observer.unborn
    var last: Update?
    var refuted = HypothesisSet()
    for symbol in [Symbol(.hasFeature)] + symbols {
      let update = observer.update(belief, symbol)
      belief = update.belief
      refuted.formUnion(update.refuted)
      last = update
    }
    let alive = observer.hypotheses.enumerated().filter { !refuted.contains(place: $0.offset) }
    return (last, Set(alive.map { $0.element.fault ?? "standard" }))
  }

  @Test func aWorldIsItsNumber() {
    for place in VCPUWorld.Place.all {
      for code in 0..<32 {
        let world = VCPUWorld(code: place.code * 32 + code)
        #expect(world.place == place)
        // Outside of the guest there is nothing live.
        #expect(VCPUWorld(code: world.at(place).code) == world.at(place))
      }
    }
    let set = WorldSet((0..<14 * 32).filter { $0 % 7 == 0 }.map(VCPUWorld.init(code:)))
    #expect(set.map(\.code) == (0..<14 * 32).filter { $0 % 7 == 0 })
  }

  @Test func whatTheCodeDoesRefutesNothing() {
    let (last, alive) = after([
      Symbol(.load, .clear), Symbol(.entry, .clear), Symbol(.sync, .clear),
      Symbol(.instructionTrap), Symbol(.look, .clear), Symbol(.handlerEntered, .clear),
      Symbol(.handlerReturned), Symbol(.entry, .set), Symbol(.sync, .set), Symbol(.exit),
      Symbol(.put, .set), Symbol(.load, .set), Symbol(.entry, .clear),
    ])
    #expect(last?.refuted.contains(.standard) == false && last?.expected == .clear)
    #expect(alive.contains("standard"))
    // The load cleared, and both bits were set.
    #expect(alive.isDisjoint(with: ["load-keeps-enable", "api-without-apk"]))
  }

  /// Preempted in the handler before the enable, which lands after the load that cleared.
  @Test func anInterruptedHandlerMayStillEnable() {
    let trap = [
      Symbol(.load, .clear), Symbol(.entry, .clear), Symbol(.instructionTrap), Symbol(.put),
      Symbol(.load),
    ]
    #expect(after(trap + [Symbol(.entry, .set)]).alive.contains("standard"))
    #expect(
      after(trap + [Symbol(.handlerReturned), Symbol(.entry, .clear)]).alive.contains("standard"))
  }

  /// With an SError pending a trap is not answered, and the next entry is as disabled as before.
  @Test func aTrapMayBeSpared() {
    let spared = after([
      Symbol(.load, .clear), Symbol(.entry, .clear), Symbol(.sync, .clear),
      Symbol(.instructionTrap), Symbol(.look, .clear), Symbol(.entry, .clear),
    ])
    #expect(spared.alive.contains("standard"))
    // One whose handler was seen is answered.
    let answered = after([
      Symbol(.load, .clear), Symbol(.entry, .clear), Symbol(.sync, .clear),
      Symbol(.instructionTrap), Symbol(.handlerEntered, .clear), Symbol(.entry, .clear),
    ])
    #expect(!answered.alive.contains("standard"))
  }

  /// KVM_ARM_VCPU_INIT clears both bits of a vCPU that is put; nothing sets them there.
  @Test func aResetWhilePut() {
    let used = [
      Symbol(.load, .clear), Symbol(.entry, .clear), Symbol(.instructionTrap),
      Symbol(.handlerReturned), Symbol(.entry, .set), Symbol(.exit), Symbol(.put, .set),
    ]
    #expect(after(used + [Symbol(.load, .clear)]).alive.contains("standard"))
    let unused = [
      Symbol(.load, .clear), Symbol(.entry, .clear), Symbol(.exit), Symbol(.put, .clear),
    ]
    #expect(!after(unused + [Symbol(.load, .set)]).alive.contains("standard"))
  }

  /// A fault is named by what it leaves possible over the whole history.
  @Test func aFaultIsNamed() {
    let used = [
      Symbol(.load, .clear), Symbol(.entry, .clear), Symbol(.instructionTrap),
      Symbol(.handlerReturned), Symbol(.entry, .set), Symbol(.exit), Symbol(.put, .set),
    ]
    let kept = after(used + [Symbol(.loadElsewhere, .set), Symbol(.entry, .set)])
    #expect(kept.last?.refuted.contains(.standard) == true)
    #expect(kept.alive.isSuperset(of: ["load-keeps-enable", "migration-keeps-enable"]))
    #expect(!kept.alive.contains("standard"))
    // On the same pCPU it is one of the two.
    let here = after(used + [Symbol(.load, .set), Symbol(.entry, .set)]).alive
    #expect(here.contains("load-keeps-enable") && !here.contains("migration-keeps-enable"))
  }

  /// Nothing of the code sets bits between an exit that was no trap and the next entry; no fault of the table does.
  @Test func whatNothingExplains() {
    let (last, alive) = after([
      Symbol(.load, .clear), Symbol(.entry, .clear), Symbol(.sync, .clear), Symbol(.exit),
      Symbol(.entry, .set),
    ])
    #expect(last?.refuted.contains(.standard) == true && last?.expected == .clear)
    #expect(!alive.contains("standard") && !alive.contains("load-keeps-enable"))
  }

  /// Events that cannot follow on one another are missing some, and accuse nobody.
  @Test func missingEventsRefuteNothing() {
    let twice = after([
      Symbol(.load, .clear), Symbol(.entry, .clear), Symbol(.entry, .set), Symbol(.sync, .set),
    ])
    #expect(twice.alive.contains("standard"))
    var observer = Observer(Hypothesis.bank(of: .g2))
    let inGuest = [Symbol(.load), Symbol(.entry)].reduce(observer.unborn) {
      observer.update($0, $1).belief
    }
    let again = observer.update(inGuest, Symbol(.entry, .set))
    #expect(again.isOutOfPlace && again.refuted.isEmpty)
  }

  /// Loads that left no event may have cleared.
  @Test func unseenLoads() {
    let used = [
      Symbol(.load, .clear), Symbol(.entry, .clear), Symbol(.instructionTrap),
      Symbol(.handlerReturned), Symbol(.entry, .set), Symbol(.exit),
    ]
    #expect(!after(used + [Symbol(.entry, .clear)]).alive.contains("standard"))
    let unseen = after(used + [Symbol(.unseenLoads), Symbol(.entry, .clear)])
    #expect(unseen.alive.contains("standard"))
  }

  /// Behind a loss the feature still says something: without it both bits are clear in the standard, whatever was lost.
  @Test(arguments: Generation.all.map(\.name))
  func afterALoss(name: String) throws {
    let generation = try #require(Generation(named: name))
    var observer = Observer(Hypothesis.bank(of: generation))
    let lacks = observer.update(observer.anything, Symbol(.lacksFeature)).belief
    #expect(observer.shadow(lacks, of: .standard) == .clear)
    let has = observer.update(observer.anything, Symbol(.hasFeature)).belief
    #expect(
      generation.trap == .never || observer.shadow(has, of: .standard) == .unknown
        || generation.load == .nothing)
  }

  /// A fault that is given to the table is told from the others, without a word of it anywhere else.
  @Test func anotherFault() {
    let invented = Fault(
      "exit-enables", "guest exit sets both bits", .hcrIsShadow, .hostKeyLeak, in: .g2
    ) { $1.guestExit.append(Line([], .enable(api: true, apk: true))) }
    let events = [
      Symbol(.load, .clear), Symbol(.entry, .clear), Symbol(.sync, .set), Symbol(.exit),
      Symbol(.entry, .set),
    ]
    #expect(!after(events).alive.contains("exit-enables"))
    let alive = after(events, faults: Fault.all + [invented]).alive
    #expect(alive.contains("exit-enables") && !alive.contains("standard"))
  }

  /// A stranger's recording says what it likes: beliefs stay few, and so does what they cost.
  @Test(arguments: Generation.all.map(\.name))
  func anyEventsInAnyOrder(name: String) throws {
    let generation = try #require(Generation(named: name))
    var observer = Observer(Hypothesis.bank(of: generation))
    var belief = observer.anything
    var state: UInt64 = 7
    func number(_ limit: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % limit
    }
    let samples = [nil, nil, .clear, .set, EnableBits(api: .set, apk: .clear)]
    for _ in 0..<100_000 {
      let kind = Symbol.Kind.allCases[number(Symbol.Kind.allCases.count)]
      let symbol = Symbol(kind, samples[number(samples.count)])
      belief = observer.update(belief, symbol).belief
    }
    #expect(observer.beliefCount < Observer.limit / 2, "\(observer.beliefCount)")
  }

  /// More would be left out, and what they leave possible be said not to be.
  @Test func everyHypothesisHasItsPlace() {
    #expect(Hypothesis.bankOfAll.count <= HypothesisSet.limit)
    for generation in Generation.all {
      #expect(Hypothesis.bank(of: generation).count <= HypothesisSet.limit)
    }
  }
}
