/// What a walk attends to besides keys. It then follows loads of less than 64 bits too, and keeps what a path assumes
/// of the words that matter.
struct Attention {
  /// A word in memory, and bits of it: what is stored there is noted if these may change.
  var word: Address?
  var bits: UInt64 = .max
  /// Functions whose calls are noted, with the first two arguments.
  var calls: Set<UInt64> = []
  /// So are all that are not followed.
  var notesEveryCall = false
  /// Functions that are followed, of whatever size.
  var follows: Set<UInt64> = []
  /// Functions of KVM that give a vCPU's register: its number is the second argument.
  var registerReaders: Set<UInt64> = []
  /// What is known of memory that the code does not write.
  var facts: [Address: UInt64] = [:]
  /// Tests of other words are no part of a path; nil: all are.
  var tested: ((Symbol) -> Bool)?
  /// Not only tests of `bits`.
  var testsAnyBits = false
  /// For small functions: every branch is part of a path, followed or not, and every constant is kept.
  var isExact = false
}

extension PathWalk {
  /// One instruction, with what there is to attend to.
  func execute(_ instruction: A64Instruction, _ state: inout WalkState) {
    guard let attention else { return state.execute(instruction) }
    let known = state.events.count
    defer {
      state.events.replaceSubrange(known..., with: state.events[known...].filter(\.isOfKeys))
    }
    switch instruction {
    case .load(let access):
      let base = state.base(access.base)
      let old = state
      state.execute(instruction)
      guard case .address(let start) = base, let offset = access.offset, !access.isOpaque else {
        return
      }
      for (index, register) in ([access.first] + [access.second].compactMap(\.self)).enumerated() {
        let place = start.adding(offset &+ Int64(index) &* Int64(access.size))
        if let known = attention.facts[place] {
          state[register] = .constant(known)
        } else if access.size < 8 {
          state[register] = old.part(at: place, bytes: access.size)
        }
      }
    case .store(let access):
      let base = state.base(access.base)
      let old = state
      state.execute(instruction)
      guard case .address(let start) = base, let offset = access.offset else { return }
      for (index, register) in ([access.first] + [access.second].compactMap(\.self)).enumerated() {
        let place = start.adding(offset &+ Int64(index) &* Int64(access.size))
        state.keep(access.isOpaque ? .unknown : old[register], at: place, bytes: access.size)
        note(place, access.size, &state)
      }
    case .logicalImmediate(_, let d, _, _, true), .logicalRegister(_, let d, _, _, _, _, true):
      state.execute(instruction)
      guard let word = attention.word, d != A64.stackOrZero else { return }
      state[d] = state[d].blurred(outside: attention.bits, of: .word(word))
    default: state.execute(instruction)
    }
  }

  /// The word that is attended to, or a part of it, was stored.
  private func note(_ place: Address, _ bytes: UInt8, _ state: inout WalkState) {
    guard let attention, let word = attention.word, place.symbol == word.symbol,
      place.offset < word.offset &+ 8, place.offset &+ Int64(bytes) > word.offset
    else { return }
    if bytes < 8 { state.memory[word] = .symbol(.result(of: state.pc)) }
    guard let value = state.memory[word], attention.changes(value) else { return }
    state.record(WalkEvent(pc: state.pc, kind: .stored(value)))
  }

  /// A call that is not followed.
  func attend(
    toCallOf target: UInt64, _ before: WalkState, _ state: inout WalkState, isTagCheck: Bool = false
  ) {
    guard let attention else { return }
    if attention.notesEveryCall && !isTagCheck || attention.calls.contains(target) {
      state.record(
        WalkEvent(pc: before.pc, kind: .called(target, before[0], before[1])))
    }
    if attention.registerReaders.contains(target), case .constant(let number) = before[1] {
      state[0] = .symbol(.virtualRegister(number))
    }
  }
}

extension SymbolicValue {
  /// What became of the other bits of a word is all the same: ways that differ in nothing else become one.
  fileprivate func blurred(outside bits: UInt64, of symbol: Symbol) -> SymbolicValue {
    guard let mixture = Mixture(self), mixture.mask(of: { $0 == symbol }) != 0,
      let blurred = mixture.blurred(outside: bits, of: symbol)
    else { return self }
    return blurred.value
  }
}

extension Attention {
  /// The value may have other bits than the word had before.
  func changes(_ value: SymbolicValue) -> Bool {
    guard let word, let mixture = Mixture(value), mixture.shift == 0 else { return true }
    let left = mixture.and(bits)
    return left.set != 0 || left.overlap != .none
      || left.parts != [Mixture.Part(symbol: .word(word), mask: bits)]
  }

  /// What the word holds, as far as it has to be told from what it held before.
  func word(in state: WalkState) -> SymbolicValue? {
    guard let word, let value = state.memory[word], changes(value) else { return nil }
    return value
  }
}

extension WalkEvent {
  fileprivate var isOfKeys: Bool {
    switch kind {
    case .reload, .wordBits, .hcrBits, .hcrWritten: false
    default: true
    }
  }
}

extension WalkState {
  /// A few bytes of memory, zero-extended: what was stored there, else as it was before.
  fileprivate func part(at place: Address, bytes: UInt8) -> SymbolicValue {
    let mask: UInt64 = (1 << (UInt64(bytes) * 8)) - 1
    if let stored = memory[place.narrow(bytes)] { return stored }
    for distance in 0..<8 {
      let start = place.adding(Int64(-distance))
      guard let stored = memory[start] else { continue }
      guard distance + Int(bytes) <= 8, let mixture = Mixture(stored) else { return .unknown }
      return mixture.movedRight(by: UInt8(distance) * 8)?.and(mask).value ?? .unknown
    }
    return place.symbol.isStack ? .unknown : SymbolicValue.symbol(.word(place)).and(mask)
  }

  /// What a store leaves that is not followed as a word: its bytes, or that they are no longer what they were.
  fileprivate mutating func keep(_ value: SymbolicValue, at place: Address, bytes: UInt8) {
    for size in [1, 2, 4] as [UInt8] {
      for distance in (1 - Int64(size))..<Int64(bytes) {
        memory[place.adding(distance).narrow(size)] = nil
      }
    }
    let lost = SymbolicValue.symbol(.result(of: pc))
    guard bytes < 8 else {
      if bytes == 8, memory[place] == nil { memory[place] = lost }
      return
    }
    let part = value.and((1 << (UInt64(bytes) * 8)) - 1)
    memory[place.narrow(bytes)] = part == .unknown ? lost : part
  }
}

extension Address {
  fileprivate func narrow(_ bytes: UInt8) -> Address {
    Address(symbol: .narrow(bytes, symbol), offset: offset)
  }
}
