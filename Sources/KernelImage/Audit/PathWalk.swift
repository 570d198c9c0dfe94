import Ptrauth

/// Walks every path of a function, both outcomes of each alternative and static branch included, and keeps
/// what registers, memory and key registers hold on the way.
///
///     entry ──▶ state ──▶ ... ──▶ branch? ─┬─▶ taken      states that are equal are walked once;
///                                          └─▶ not taken  beyond `statesPerPlace` at one instruction,
///     alternative? ─┬─▶ original                          those with one history become one, which
///                   └─▶ replacement ─▶ resume             knows what they agree on. In C code, states
///                                                         that differ in nothing worth keeping do at once
///
/// Nothing of one compiler's output is assumed: what counts is what a path did to keys when it ends.
package struct PathWalk {
  let image: KernelImage
  let alternatives: Alternatives
  let statics: StaticBranches
  let convention: CallConvention
  /// Tests of bits and capabilities become part of a path. Off for C code, where most concern other things.
  var keepsConditions = true
  /// Followed into functions of up to so many bytes.
  var inlineLimit: UInt64 = 0

  /// A call that is not followed ends the path.
  var stopsAtCalls = false
  /// Storing the last of the ten registers ends the path, and so does coming back to a read of one: what
  /// comes behind a save, or around a loop, is another matter.
  var stopsAfterSave = false
  /// Coming to this place ends a path.
  var stopsBefore: UInt64?
  /// What matters besides keys; nil: nothing.
  var attention: Attention?
  /// Ways on which a register is null are told from those on which it points to something.
  var keepsNull = false
  /// Something that ends a path as it happens.
  var stopsAt: ((WalkEvent.Kind) -> Bool)?

  var stepLimit = 400_000
  private static let callDepth = 3
  /// What happened to keys on one path, at most: a whole switch is some 40 events. Around a loop that touches keys
  /// a path has no end.
  private static let eventLimit = 160

  package struct Result {
    /// Each once, in the order in which they were walked.
    package var ends: [WalkEnd] = []
    /// False: a bound was reached, and paths are missing.
    var isComplete = true
    /// Instructions that were walked over.
    var visited: Set<UInt64> = []
  }

  private struct Place: Hashable {
    var pc: UInt64
    var frames: [WalkState.Frame]
    var replacement: WalkState.Replacement?
  }

  /// - Parameters:
  ///   - start: where to begin.
  ///   - function: what is not left.
  package func walk(from start: UInt64, in function: KernelFunctionSymbol) -> Result {
    var result = Result()
    image.examine(function)
    // The audit is refused: its answers are not needed.
    guard image.codeDoubt == nil else {
      result.isComplete = false
      return result
    }
    let cache = CodeCache(image, function)
    var seen: [Place: Known] = [:]
    var work = [WalkState(at: start, isAtEL2: function.isAtEL2)]
    var steps = 0
    while var state = work.popLast() {
      steps += 1
      guard steps < stepLimit else {
        result.isComplete = false
        break
      }
      guard state.events.count <= Self.eventLimit else {
        result.isComplete = false
        continue
      }
      if let replacement = state.replacement, state.pc == replacement.end {
        state.pc = replacement.resume
        state.replacement = nil
      }
      if state.pc == stopsBefore {
        result.ends.append(WalkEnd(kind: .leaves(state.pc), state: state))
        continue
      }
      guard isInside(state.pc, state, function) else {
        leaveFunction(state, function, &work, &result)
        continue
      }
      guard let word = cache.word(at: state.pc) else {
        result.ends.append(leave(state, .leaves(state.pc)))
        continue
      }
      // Straight lines need no look at what was seen.
      if isJunction(state, word) {
        let place = Place(pc: state.pc, frames: state.frames, replacement: state.replacement)
        guard !seen[place, default: Known()].isFull else {
          result.isComplete = false
          continue
        }
        guard
          let news = seen[place, default: Known()].add(
            state, isCode: !keepsConditions, keepsNull: keepsNull, attention)
        else {
          continue
        }
        state = news
      }
      result.visited.insert(state.pc)
      step(state, word, function, &work, &result)
    }
    result.ends = result.ends.distinct
    return result
  }

  private func isInside(
    _ pc: UInt64, _ state: WalkState, _ function: KernelFunctionSymbol
  ) -> Bool {
    if state.replacement != nil { return true }
    let code = state.frames.last?.function ?? function.address..<function.address &+ function.size
    if code.contains(pc) { return true }
    // What the compiler split from the function: kvm_arch_vcpu_load.cold.
    guard let other = image.function(at: pc), let own = image.function(at: code.lowerBound) else {
      return false
    }
    guard other.name.hasPrefix(own.name + ".") else { return false }
    image.examine(other)
    return true
  }

  /// A tail call.
  private func leaveFunction(
    _ state: WalkState, _ function: KernelFunctionSymbol, _ work: inout [WalkState],
    _ result: inout Result
  ) {
    var state = state
    if let callee = followed(state.pc, state, function) {
      image.examine(callee)
      let resume = state.frames.popLast().map(\.resume) ?? nil
      state.frames.append(
        WalkState.Frame(function: callee.address..<callee.address + callee.size, resume: resume))
      work.append(state)
    } else if let resume = state.frames.last?.resume {
      state.frames.removeLast()
      let before = state
      leaveSight(&state, convention.effect(of: state.pc))
      attend(toCallOf: before.pc, before, &state)
      state.pc = resume
      work.append(state)
    } else {
      let before = state
      attend(toCallOf: before.pc, before, &state)
      result.ends.append(leave(state, .leaves(state.pc)))
    }
  }

  /// The function that a call or a tail call is followed into.
  func followed(
    _ target: UInt64, _ state: WalkState, _ function: KernelFunctionSymbol
  ) -> KernelFunctionSymbol? {
    let isAttendedTo =
      attention.map { $0.calls.contains(target) || $0.registerReaders.contains(target) } ?? false
    guard inlineLimit > 0, !isAttendedTo, state.frames.count < Self.callDepth,
      let callee = image.function(at: target), callee.offset == 0,
      callee.address != function.address,
      !state.frames.contains(where: { $0.function.contains(target) })
    else { return nil }
    let isPart = ["ptrauth", "pauth", "ctxt_sys_reg"].contains { callee.name.contains($0) }
    if attention?.follows.contains(callee.address) == true { return callee }
    return callee.size <= inlineLimit || isPart && callee.size <= 2048 ? callee : nil
  }

  /// Where several ways meet is not known before all are walked; they part at branches, so states are
  /// compared there.
  private func isJunction(_ state: WalkState, _ word: UInt32) -> Bool {
    if alternatives.entries[state.pc] != nil || statics.targets[state.pc] != nil { return true }
    switch A64Instruction(word, at: state.pc) {
    case .branch, .branchIf, .compareBranch, .testBranch, .call, .conditionalSelect, .return:
      return true
    default: return false
    }
  }

  private func step(
    _ state: WalkState, _ word: UInt32, _ function: KernelFunctionSymbol, _ work: inout [WalkState],
    _ result: inout Result
  ) {
    var state = state
    if state.replacement == nil, let entries = alternatives.entries[state.pc] {
      for entry in entries {
        if let patched = patched(state, entry) { work.append(patched) }
      }
      for case let capability? in entries.map(\.capability) {
        // Nothing was patched in: the CPU has none of them.
        guard let without = assuming(state, capability, isPresent: false) else { return }
        state = without
      }
    }
    if let target = statics.targets[state.pc] {
      var taken = state
      taken.pc = target
      work.append(taken)
      state.pc += 4
      work.append(state)
      return
    }
    let instruction = A64Instruction(word, at: state.pc)
    let next = state.pc &+ 4
    let before = state
    switch instruction {
    case .branch(let target): go(state, to: target, &work)
    case .branchIf(let condition, let target):
      fork(state, zeroTest(state, condition), target, next, &work)
    case .compareBranch(let t, let target, let ifZero, let isWide):
      let value = isWide ? state[t] : state[t].lowWord
      fork(state, ZeroTest(value: value, takenIfZero: ifZero), target, next, &work)
    case .testBranch(let t, let bit, let target, let ifZero):
      let value = state[t].and(1 << UInt64(bit))
      fork(state, ZeroTest(value: value, takenIfZero: ifZero), target, next, &work)
    case .conditionalSelect(let d, let n, let m, let condition, let isPlain, let isWide):
      select(state, d, n, isPlain ? m : nil, condition, isWide, next, &work)
    case .call(let target):
      if stopsAtCalls, followed(target, state, function) == nil {
        result.ends.append(leave(state, .calls(target)))
      } else {
        call(state, target, function, next, &work)
      }
    case .indirectCall:
      leaveSight(&state, .standard)
      attend(toCallOf: 0, before, &state)
      go(state, to: next, &work)
    case .return, .authenticates(.returns):
      if case .authenticates = instruction { state.useKeys(isAuthentication: true) }
      if let back = state.frames.popLast()?.resume {
        state.replacement = nil
        go(state, to: back, &work)
      } else {
        result.ends.append(leave(state, .returns))
      }
    case .exceptionReturn: result.ends.append(WalkEnd(kind: .exceptionReturn, state: state))
    case .indirectBranch: result.ends.append(leave(state, .leaves(nil)))
    case .trap: result.ends.append(WalkEnd(kind: .traps, state: state))
    default:
      if stopsAfterSave, case .keyRead(let key, _) = instruction,
        state.events.contains(WalkEvent(pc: state.pc, kind: .keyRead(key)))
      {
        result.ends.append(WalkEnd(kind: .leaves(state.pc), state: state))
        return
      }
      execute(instruction, &state)
      if state.isImpossible { return }
      if stopsAfterSave, case .store = instruction, state.hasStoredAll {
        result.ends.append(WalkEnd(kind: .leaves(next), state: state))
        return
      }
      if let stopsAt, let event = state.events.last, event.pc == state.pc, stopsAt(event.kind) {
        result.ends.append(WalkEnd(kind: .leaves(next), state: state))
        return
      }
      go(state, to: next, &work)
    }
  }

  private func go(_ state: WalkState, to target: UInt64, _ work: inout [WalkState]) {
    var state = state
    state.pc = target
    if let replacement = state.replacement, target != replacement.end {
      // Out of the replacement: its end no longer matters.
      let start = alternatives.entry(replacingWith: replacement.end - 4)?.replacement
      if start.map({ !$0.contains(target) }) ?? true { state.replacement = nil }
    }
    work.append(state)
  }

  /// What happens in a function that is not followed.
  func leaveSight(_ state: inout WalkState, _ effect: CallConvention.Effect) {
    state.useKeys(isAuthentication: false)
    state.forgetAfterCall(at: state.pc, effect)
  }

  private func leave(_ state: WalkState, _ kind: WalkEnd.Kind) -> WalkEnd {
    var state = state
    state.useKeys(isAuthentication: false)
    return WalkEnd(kind: kind, state: state)
  }
}
