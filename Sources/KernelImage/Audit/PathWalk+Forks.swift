import Ptrauth

/// Where one way becomes two.
extension PathWalk {
  /// What decides a branch: whether a value is zero; nil: something else.
  struct ZeroTest {
    var value: SymbolicValue
    var takenIfZero: Bool
    /// Decided by constants.
    var isTaken: Bool?
  }

  func zeroTest(_ state: WalkState, _ condition: A64.Condition) -> ZeroTest {
    switch (state.flags, condition) {
    case (.zero(let value)?, .equal), (.zero(let value)?, .notEqual):
      return ZeroTest(value: value, takenIfZero: condition == .equal)
    case (.difference(let a, let b, let isWide)?, _):
      return ZeroTest(
        value: .unknown, takenIfZero: true, isTaken: A64.holds(condition, a, b, isWide: isWide))
    default: return ZeroTest(value: .unknown, takenIfZero: true)
    }
  }

  func fork(
    _ state: WalkState, _ test: ZeroTest, _ target: UInt64, _ next: UInt64,
    _ work: inout [WalkState]
  ) {
    func proceed(_ state: WalkState, _ isTaken: Bool) {
      var state = state
      state.pc = isTaken ? target : next
      if let replacement = state.replacement, isTaken, target != replacement.end {
        state.replacement = nil
      }
      work.append(state)
    }
    if let isTaken = test.isTaken { return proceed(state, isTaken) }
    if attention?.isExact == true, test.value == .unknown {
      for isTaken in [true, false] {
        var guessed = state
        guessed.conditions.insert(.guess(at: state.pc, isTaken: isTaken))
        proceed(guessed, isTaken)
      }
      return
    }
    for isZero in [true, false] {
      guard let assumed = assuming(state, test.value, isZero: isZero) else { continue }
      proceed(assumed, isZero == test.takenIfZero)
    }
  }

  /// Nil: the value cannot be so on this path.
  func assuming(_ state: WalkState, _ value: SymbolicValue, isZero: Bool) -> WalkState? {
    let symbol: Symbol
    let tested: UInt64
    switch value {
    case .constant(let number): return (number == 0) == isZero ? state : nil
    case .bits(let source, let mask, let set):
      if set != 0 { return isZero ? nil : state }
      if mask == 0 { return isZero ? state : nil }
      (symbol, tested) = (source, mask)
    case .address(let address) where address.offset == 0:
      (symbol, tested) = (address.symbol, .max)
    case .mix(let mixture):
      if mixture.set & ~mixture.mask(of: { _ in true }) != 0 { return isZero ? nil : state }
      guard mixture.parts.count == 1 else { return state }
      (symbol, tested) = (mixture.parts[0].symbol, mixture.parts[0].mask)
    case .address, .key, .unknown: return state
    }
    let isAttendedTo =
      attention.map { $0.tested?(symbol) ?? false && ($0.testsAnyBits || tested & ~$0.bits == 0) }
      ?? false
    guard keepsConditions || isAttendedTo else { return state }
    if state.conditions.contains(.bits(symbol, mask: tested, isZero: !isZero)) { return nil }
    var state = state
    state.conditions.insert(.bits(symbol, mask: tested, isZero: isZero))
    return state
  }

  /// Nil: the path has assumed the opposite.
  func assuming(_ state: WalkState, _ capability: UInt16, isPresent: Bool) -> WalkState? {
    if state.conditions.contains(.capability(capability, isPresent: !isPresent)) { return nil }
    var state = state
    state.conditions.insert(.capability(capability, isPresent: isPresent))
    return state
  }

  /// The state with an alternative patched in.
  func patched(_ state: WalkState, _ entry: Alternatives.Entry) -> WalkState? {
    var state = state
    if let capability = entry.capability {
      guard let assumed = assuming(state, capability, isPresent: true) else { return nil }
      state = assumed
    }
    guard entry.isCallback else {
      state.pc = entry.replacement.lowerBound
      state.replacement = WalkState.Replacement(
        end: entry.replacement.upperBound, resume: entry.original.upperBound)
      return state
    }
    // A function makes the replacement: a branch becomes a NOP (alt_cb_patch_nops); the masking of a
    // pointer into hyp's address space (kvm_update_va_mask) keeps what it points to; other
    // constants are not known.
    var address = entry.original.lowerBound
    let words = image.code(at: address, count: entry.original.count / 4) ?? []
    for word in words {
      switch A64Instruction(word, at: address) {
      case .logicalImmediate(_, let d, let n, _, _) where d == n: break
      case .addImmediate(let d, let n, _, _, _) where d == n: break
      case .moveConstant(let d, _), .moveKeep(let d, _, _, _): state[d] = .unknown
      case .other(let word) where word & 0x7fa0_0000 == 0x1380_0000: break  // ROR
      case .other(let word): state[word.field(0, 5)] = .unknown
      default: break
      }
      address += 4
    }
    state.pc = entry.original.upperBound
    return state
  }

  func select(
    _ state: WalkState, _ d: UInt8, _ n: UInt8, _ m: UInt8?, _ condition: A64.Condition,
    _ isWide: Bool, _ next: UInt64, _ work: inout [WalkState]
  ) {
    func proceed(_ value: SymbolicValue) {
      var state = state
      state[d] = isWide ? value : value.lowWord
      state.pc = next
      work.append(state)
    }
    let first = state[n]
    let second = m.map { state[$0] } ?? .unknown
    if let isTaken = zeroTest(state, condition).isTaken { return proceed(isTaken ? first : second) }
    proceed(first)
    if first != second { proceed(second) }
  }

  func call(
    _ state: WalkState, _ target: UInt64, _ function: KernelFunctionSymbol, _ next: UInt64,
    _ work: inout [WalkState]
  ) {
    var state = state
    if let callee = followed(target, state, function) {
      image.examine(callee)
      state.frames.append(
        WalkState.Frame(function: callee.address..<callee.address + callee.size, resume: next))
      state[30] = .constant(next)
      state.pc = target
    } else {
      let before = state
      let effect = convention.effect(of: target)
      leaveSight(&state, effect)
      attend(toCallOf: target, before, &state, isTagCheck: effect.isTagCheck)
      state.pc = next
    }
    work.append(state)
  }
}

extension A64 {
  /// Whether a condition holds after `a - b` (Arm ARM, ConditionHolds).
  static func holds(_ condition: Condition, _ a: UInt64, _ b: UInt64, isWide: Bool) -> Bool {
    let shift: UInt64 = isWide ? 0 : 32
    let (x, y) = (a << shift, b << shift)
    let (signedX, signedY) = (Int64(bitPattern: x), Int64(bitPattern: y))
    let (difference, overflow) = signedX.subtractingReportingOverflow(signedY)
    return switch condition {
    case .equal: x == y
    case .notEqual: x != y
    case .carrySet: x >= y
    case .carryClear: x < y
    case .minus: difference < 0
    case .plus: difference >= 0
    case .overflow: overflow
    case .noOverflow: !overflow
    case .higher: x > y
    case .lowerOrSame: x <= y
    case .greaterOrEqual: signedX >= signedY
    case .less: signedX < signedY
    case .greater: signedX > signedY
    case .lessOrEqual: signedX <= signedY
    case .always, .never: true
    }
  }
}
