import Ptrauth

/// What the guard of the key switch costs a pass that switches nothing.
///
///     b / nop                 patched at boot: over everything on CPUs without pointer authentication
///     mrs  x0, hcr_el2    ┐
///     and  x0, x0, #3<<40 ├   run where not patched over
///     cbz  x0, skip       ┘
///     add, ldp, msr ...       the switch
struct GuardCost: Equatable {
  /// The load, the mask and the branch.
  var instructions = 0
  /// Single instructions in front of them that are replaced at boot.
  var patched = 0

  /// - Parameter first: where the first access to a key register behind the guard is.
  init?(before first: UInt64, in walk: PathWalk, of image: KernelImage) {
    func instruction(_ address: UInt64) -> A64Instruction? {
      image.code(at: address, count: 1)?.first.map { A64Instruction($0, at: address) }
    }
    // ADD, LDP come between.
    guard first > 256,
      let branch = stride(from: first - 4, through: first - 32, by: -4).first(where: {
        if case .compareBranch(_, _, ifZero: true, _) = instruction($0) { true } else { false }
      }), case .compareBranch(let tested, _, _, _) = instruction(branch),
      case .logicalImmediate(.and, tested, let loaded, GuardChecks.both, _) = instruction(
        branch - 4)
    else { return nil }
    switch instruction(branch - 8) {
    case .load(let access) where access.first == loaded: break
    case .readSystem(A64.SystemRegister.hcrEL2, loaded): break
    default: return nil
    }
    instructions = 3
    var place = branch - 12
    while walk.alternatives.entries[place] != nil, patched < 8 {
      patched += 1
      place -= 4
    }
  }
}

extension GuardChecks {
  /// A note, not a fault: every pass pays it.
  func cost() -> CodeCheck? {
    let switches = GuestSwitchChecks(subject: subject, copy: copy)
    func cost(_ ends: [WalkEnd]) -> GuardCost? {
      ends.first?.state.keyEvents.map(\.pc).min().flatMap {
        GuardCost(before: $0, in: subject.walk, of: subject.image)
      }
    }
    guard let enter = cost(switches.enterEnds), let exit = cost(switches.exitEnds) else {
      return nil
    }
    func words(_ cost: GuardCost) -> String {
      let plain = "\(cost.instructions) instructions"
      switch cost.patched {
      case 0: return plain + ", on CPUs without pointer authentication too"
      case 1:
        return plain
          + " behind one that is patched at boot: on CPUs without pointer authentication only that"
      default:
        return plain + " behind \(cost.patched) that are patched at boot: on CPUs without pointer "
          + "authentication only the first"
      }
    }
    return CodeCheck(
      .bits, .note, at: copy.place("__guest_enter and __guest_exit"),
      enter == exit
        ? "the guard costs every entry and every exit \(words(enter))"
        : "the guard costs every entry \(words(enter)); every exit \(words(exit))",
      rule: .guardCost)
  }
}
