import Ptrauth

// From where a save is walked: its function, what calls that, or the code in front of it.
extension HostSaveChecks {
  func isUnreached(_ saver: Saver) -> Bool {
    guard let walk = saver.walk, walk.isComplete, saver.start == nil, !saver.isLocal else {
      return false
    }
    return walk.visited.isDisjoint(with: saver.group.addresses)
  }

  /// The context is an argument: ptrauth_save_keys, where the compiler made a function of it.
  func savesForItsCallers(_ saver: Saver) -> Bool {
    let bases = (saver.walk?.ends ?? []).filter { $0.kind != .traps && !$0.state.reads.isEmpty }
      .map { storeMap($0.state).base }
    return !bases.isEmpty
      && bases.allSatisfy { base in
        guard let base, case .argument = base.symbol else { return false }
        return base.offset == subject.offsets?.slots[0]
      }
  }

  /// The functions that call it, with the save as part of their paths; nil if there are none.
  func callers(of saver: Saver) -> [Saver]? {
    var found: [Saver] = []
    for place in subject.image.calls(of: saver.function.address) {
      guard let function = subject.image.function(at: place) else { continue }
      let whole = KernelFunctionSymbol(
        name: function.name, address: function.address, size: function.size, offset: 0)
      guard !found.contains(where: { $0.function.address == whole.address }) else { continue }
      found.append(self.whole(Saver(group: saver.group, function: whole)))
    }
    return found.isEmpty ? nil : found
  }

  /// The save and the computation of its base in front of it: from the nearest block that every way to the save
  /// passes and from which every base is known.
  func nearby(_ saver: Saver) -> Saver? {
    guard let first = saver.group.addresses.filter(saver.function.contains).min() else {
      return nil
    }
    var walk = subject.codeWalk
    walk.stepLimit = 100_000
    walk.stopsAfterSave = true
    walk.keepsNull = true
    let order = BlockOrder(saver.function, in: subject)
    for start in order.blocks(before: first, atMost: 24) where order.isPassed(start, to: first) {
      let result = walk.walk(from: start, in: saver.function)
      let maps = result.ends.filter { $0.kind != .traps && !$0.state.reads.isEmpty }
        .map { (map: storeMap($0.state), events: $0.state.events) }
      let isKnown = maps.allSatisfy { map, events in
        guard !events.contains(where: \.isLostStore) else { return false }
        return switch map.base?.symbol {
        case .perCPU, .result: true
        default: false
        }
      }
      guard result.isComplete, isKnown, maps.contains(where: { $0.map.base?.symbol == .perCPU })
      else { continue }
      var part = saver
      part.walk = result
      part.start = start
      return part
    }
    return nil
  }

  /// Where the key registers' content was stored.
  func storeMap(_ state: WalkState) -> SlotMap {
    var map = SlotMap(subject.offsets)
    for (address, key) in state.keyWords { map.add(key, address) }
    return map
  }

  /// The save on its own: walked from the key read that the others follow, whatever came before. The context
  /// is then in a register that is not followed further back.
  func local(_ saver: Saver) -> Saver? {
    var walk = subject.codeWalk
    walk.stepLimit = 20_000
    walk.stopsAfterSave = true
    var best: (walk: PathWalk.Result, reads: Int)?
    for start in saver.group.addresses where saver.function.contains(start) {
      let result = walk.walk(from: start, in: saver.function)
      let reads =
        result.ends.map { end in
          end.state.events.count { if case .keyRead = $0.kind { true } else { false } }
        }.max() ?? 0
      if reads > best?.reads ?? 0 { best = (result, reads) }
      // No other start comes to more.
      if reads >= min(saver.group.addresses.count, KeyRegister.allCases.count) { break }
    }
    guard let best else { return nil }
    var local = saver
    local.walk = best.walk
    local.isLocal = true
    return local
  }
}
