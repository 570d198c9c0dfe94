import Ptrauth

// What each event leaves possible. What leaves no event is part of the step to the next one: a trap answered at EL2,
// lines of a handler, a reset by userspace.
//
//      put       load        entry         sync        exit
//   out ◀── loop ◀── out   loop ──▶ guest ──▶ ran ──┬──▶ loop
//                            ▲      └ EL2's trap    ├──▶ spared     (an SError was pending)
//                            └── handler(n) ◀ .. ◀──┴──▶ handler(0)
//
// A place that the event cannot follow on means that events are missing, and says nothing of the bits: whoever counts
// events finds that, and forgets what it knew of the vCPU.
extension Hypothesis {
  func successors(of world: VCPUWorld, _ symbol: Symbol) -> [VCPUWorld] {
    switch symbol.kind {
    case .load: loads(world, symbol, isSame: [true])
    case .loadElsewhere: loads(world, symbol, isSame: [false])
    case .loadSomewhere: loads(world, symbol, isSame: [true, false])
    case .put: puts(world, symbol)
    case .unseenLoads: [world] + unseenLoads(of: world)
    case .entry: entries(world, symbol)
    case .trappedAtHyp: trapsAtHyp(world)
    case .sync: passes(of: world).filter(symbol.admits)
    case .exit: exits(world).flatMap(leaves)
    case .instructionTrap: exits(world).flatMap { traps($0, \.api) }
    case .systemRegisterTrap: exits(world).flatMap { leaves($0) + traps($0, \.apk) }
    case .wasKeyRegister: world.place == .loop || world.place == .out ? [] : [world]
    case .wasOtherRegister: world.place == .loop || world.place == .out ? [world] : []
    case .look: symbol.admits(world) ? [world] : []
    case .lookInHandler: handled(world).filter(symbol.admits)
    case .handlerEntered:
      if case .handler(0, _) = world.place, symbol.admits(world) { [world] } else { [] }
    case .handlerReturned: [answered(world)].filter(symbol.admits)
    case .injected: injects(world) ? [answered(world)] : []
    case .reset: [answered(world)].filter(symbol.admits).flatMap(resets)
    case .userspaceExit: [answered(world)]
    case .hasFeature: world.hasFeature ? [world] : []
    case .lacksFeature: world.hasFeature ? [] : [world]
    }
  }

  // MARK: The host

  private func loads(_ world: VCPUWorld, _ symbol: Symbol, isSame: [Bool]) -> [VCPUWorld] {
    beforeLoad(world).filter(symbol.admits).flatMap { world in
      isSame.map { load(world, isSame: $0) }
    }
  }

  /// As a load may find it: without an event of its own the put lies between, at some moment of the handler; userspace may
  /// have reset the vCPU behind it.
  private func beforeLoad(_ world: VCPUWorld) -> [VCPUWorld] {
    guard !world.place.isInGuest else { return [] }
    let isPut = world.place == world.place.loaded(false)
    let left = isPut ? [world] : handled(world).map { $0.at($0.place.loaded(false)) }
    return left.flatMap { $0.place == .out ? [$0] + resets($0) : [$0] }
  }

  /// The shadow as an event of this kind finds it.
  func found(_ worlds: WorldSet, by kind: Symbol.Kind) -> EnableBits? {
    switch kind {
    case .load, .loadElsewhere, .loadSomewhere:
      WorldSet(worlds.flatMap(beforeLoad)).shadow
    default: step(worlds, Symbol(kind)).shadow
    }
  }

  private func load(_ world: VCPUWorld, isSame: Bool) -> VCPUWorld {
    var (v, c) = states(of: world)
    v.previouslyOn = isSame ? 0 : 1
    code.load.run(&v, on: &c, at: 0)
    return made(world, v, c, at: world.place.loaded(true))
  }

  private func unseenLoads(of world: VCPUWorld) -> [VCPUWorld] {
    guard !world.place.isInGuest else { return [] }
    return handled(world).flatMap { before in
      ([before] + resets(before)).flatMap { world in
        [true, false].map { load(world, isSame: $0) }
      }
    }
  }

  /// Preempted inside its handler, the thread goes on there when it is back.
  private func puts(_ world: VCPUWorld, _ symbol: Symbol) -> [VCPUWorld] {
    guard !world.place.isInGuest else { return [] }
    return handled(world).filter(symbol.admits).map { $0.at($0.place.loaded(false)) }
  }

  /// KVM_ARM_VCPU_INIT leaves both bits clear, a reset by another vCPU as they are.
  private func resets(_ world: VCPUWorld) -> [VCPUWorld] {
    var (v, c) = states(of: world)
    code.reset.run(&v, on: &c, at: 0)
    let kept = made(world, v, c, at: world.place.loaded(world.place != .out))
    v.bits = .clear
    return [kept, made(world, v, c, at: kept.place)]
  }

  // MARK: The guest

  private func entries(_ world: VCPUWorld, _ symbol: Symbol) -> [VCPUWorld] {
    let world = answered(world)
    guard world.place == .loop, symbol.admits(world) else { return [] }
    return [true, false].map { strikes in
      var (v, c) = states(of: world)
      code.activateTraps.run(&v, on: &c, at: 0, strikes: strikes)
      code.guestEnter.run(&v, on: &c, at: 0, strikes: strikes)
      return made(world, v, c, at: .guest)
    }
  }

  /// The guest as it may have run until its last exit: trapped at EL2 and entered again, or not.
  private func passes(of world: VCPUWorld) -> [VCPUWorld] {
    var all = [world]
    switch world.place {
    case .guest: if world.live.code != 3 { all.append(trappedAtHyp(world)) }
    case .refused: break
    default: return []
    }
    return all.flatMap { world in
      [true, false].map { strikes in
        var (v, c) = states(of: world)
        code.guestExit.run(&v, on: &c, at: 0, strikes: strikes)
        return made(world, v, c, at: world.place == .refused ? .returned : .ran)
      }
    }
  }

  /// It needs a bit that is clear; what EL2 does not answer is the host's.
  private func trapsAtHyp(_ world: VCPUWorld) -> [VCPUWorld] {
    guard world.place == .guest, world.live.code != 3 else { return [] }
    let answered = trappedAtHyp(world)
    return [answered == world ? world.at(.refused) : answered]
  }

  private func trappedAtHyp(_ world: VCPUWorld) -> VCPUWorld {
    var (v, c) = states(of: world)
    code.hypTrap.run(&v, on: &c, at: 0)
    return made(world, v, c, at: .guest)
  }

  private func exits(_ world: VCPUWorld) -> [VCPUWorld] {
    switch world.place {
    case .guest, .refused: passes(of: world)
    case .ran, .returned: [world]
    default: []
    }
  }

  /// For anything but a ptrauth trap, which is what follows on one that EL2 left to the host.
  private func leaves(_ world: VCPUWorld) -> [VCPUWorld] {
    world.place == .ran ? [world.at(.loop)] : []
  }

  /// The trap needs its bit to be clear, and EL2 not to have answered it: that ignores it only with an SError pending.
  private func traps(_ world: VCPUWorld, _ bit: KeyPath<EnableBits, Bit>) -> [VCPUWorld] {
    guard world.live.bits[keyPath: bit] == .clear else { return [] }
    let spared = hasSErrors ? [world.at(.spared(isLoaded: true))] : []
    let isAnsweredAtHyp = trappedAtHyp(world) != world.at(.guest)
    return isAnsweredAtHyp ? spared : spared + [world.at(.handler(0, isLoaded: true))]
  }

  // MARK: The handler

  /// Every moment of the handler from here to its end.
  private func handled(_ world: VCPUWorld) -> [VCPUWorld] {
    var moments = [world]
    var now = world
    while case .handler = now.place {
      now = proceeded(now)
      moments.append(now)
    }
    return moments
  }

  /// The handler is through, and the thread in its loop, or out.
  private func answered(_ world: VCPUWorld) -> VCPUWorld {
    var now = world
    while case .handler = now.place { now = proceeded(now) }
    if case .spared(let isLoaded) = now.place { return now.at(isLoaded ? .loop : .out) }
    return now
  }

  /// The handler gives the guest an UNDEF; of other accesses nothing is known.
  private func injects(_ world: VCPUWorld) -> Bool {
    switch world.place {
    case .loop, .out: true
    case .handler(let line, _):
      code.hostTrap.dropFirst(line).contains { line in
        line.step == .injectUndefined
          && line.when.hold(states(of: world).0, on: PCPUState()) == .set
      }
    default: false
    }
  }

  private func proceeded(_ world: VCPUWorld) -> VCPUWorld {
    guard case .handler(let line, let isLoaded) = world.place else { return world }
    let end = VCPUWorld.Place.loop.loaded(isLoaded)
    guard line < code.hostTrap.count else { return world.at(end) }
    var (v, c) = states(of: world)
    [code.hostTrap[line]].run(&v, on: &c, at: 0)
    let isLast = line + 1 == code.hostTrap.count
    return made(world, v, c, at: isLast ? end : .handler(line + 1, isLoaded: isLoaded))
  }

  // MARK: The states of the model

  private func states(of world: VCPUWorld) -> (VCPUState, PCPUState) {
    var v = VCPUState(feature: world.hasFeature ? .both : .none, bits: world.shadow.bits)
    v.slots = .unwritten
    v.loadedOn = 0
    v.previouslyOn = 0
    v.hostContext = 0
    var c = PCPUState(live: .unwritten, hostSlots: HostSlots(.unwritten, isFresh: .clear))
    c.hcr = world.live.bits
    return (v, c)
  }

  private func made(_ world: VCPUWorld, _ v: VCPUState, _ c: PCPUState, at place: VCPUWorld.Place)
    -> VCPUWorld
  {
    VCPUWorld(
      hasFeature: world.hasFeature, shadow: VCPUWorld.Pair(v.bits) ?? world.shadow,
      live: VCPUWorld.Pair(c.hcr) ?? world.live, place: place)
  }
}
