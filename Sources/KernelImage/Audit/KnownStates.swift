import Ptrauth

extension PathWalk {
  /// The states that one instruction was met with.
  struct Known {
    private var states: [Digested<JoinKey>: WalkState] = [:]
    /// How many states have one history.
    private var counts: [Digested<History>: Int] = [:]
    private var exact: Set<WalkState> = []

    /// Beyond so many, states with one history become one.
    private static let limit = 48
    private static let codeLimit = 12
    /// Where a walk attends to a word, it has less else to tell apart.
    private static let attentiveLimit = 120

    /// So many histories meet at no place of a kernel: only a loop that touches keys makes them.
    var isFull: Bool { states.count >= 256 }

    /// The state to go on with; nil: nothing new can come of it.
    mutating func add(
      _ state: WalkState, isCode: Bool, keepsNull: Bool, _ attention: Attention?
    ) -> WalkState? {
      if !isCode, exact.count < Self.limit { return exact.insert(state).inserted ? state : nil }
      let history = Digested(History(state))
      var parts = JoinKey(history: history, registers: [])
      if let attention {
        parts.word = attention.word(in: state)
        parts.conditions = state.conditions.filter { if case .bits = $0 { true } else { false } }
      }
      if isCode {
        parts.registers = state.registers.map { value in
          let isKept = attention.map { attention in value.isMix || attention.isExact } ?? false
          return value.isWorthKeeping || isKept || keepsNull && value == .constant(0)
            ? value : .unknown
        }
      }
      var key = Digested(parts)
      var known = states[key]
      if isCode, known == nil {
        let few = attention == nil ? Self.codeLimit : Self.attentiveLimit
        let count = counts[history, default: 0]
        if count >= few {
          parts.registers = state.registers.map { $0.isPerCPU ? $0 : .unknown }
          key = Digested(parts)
          known = states[key]
          if known == nil, count >= Self.limit {
            parts.registers = []
            key = Digested(parts)
            known = states[key]
          }
        }
      }
      guard let known else {
        states[key] = state
        counts[history, default: 0] += 1
        return state
      }
      let joined = known.joined(with: state)
      guard joined != known else { return nil }
      states[key] = joined
      return joined
    }
  }

  /// Which states may become one.
  private struct JoinKey: Hashable {
    var history: Digested<History>
    /// What registers hold, where that is worth keeping: beyond a first limit the addresses of
    /// per-CPU variables, beyond a second nothing.
    var registers: [SymbolicValue]
    /// What the walk attends to: the word, and what was assumed.
    var word: SymbolicValue?
    var conditions: Set<WalkCondition> = []
  }

  /// What happened to keys.
  private struct History: Hashable {
    var events: [WalkEvent]
    var keys: [SymbolicValue]
    var keyWords: Set<KeyWord>
    var isUnsynchronized: Bool

    init(_ state: WalkState) {
      events = state.events
      keys = state.keys
      keyWords = Set(
        state.memory.compactMap { entry -> KeyWord? in
          guard case .key = entry.value, entry.key.symbol != .stack else { return nil }
          return KeyWord(address: entry.key, value: entry.value)
        })
      isUnsynchronized = state.isUnsynchronized
    }
  }

  private struct KeyWord: Hashable {
    var address: Address
    var value: SymbolicValue
  }

  /// A value that is gone through once, however often it is looked up: histories are long.
  private struct Digested<Value: Hashable>: Hashable {
    let value: Value
    private let digest: Int

    init(_ value: Value) {
      self.value = value
      digest = value.hashValue
    }

    static func == (a: Self, b: Self) -> Bool { a.digest == b.digest && a.value == b.value }

    func hash(into hasher: inout Hasher) { hasher.combine(digest) }
  }

  /// The instructions of the function that is walked, read once.
  struct CodeCache {
    private let image: KernelImage
    private let start: UInt64
    private let words: [UInt32]

    init(_ image: KernelImage, _ function: KernelFunctionSymbol) {
      self.image = image
      start = function.address
      words = image.words(of: function) ?? []
    }

    func word(at address: UInt64) -> UInt32? {
      let index = (address &- start) / 4
      if address >= start, index < words.count, address % 4 == 0 { return words[Int(index)] }
      return image.code(at: address, count: 1)?.first
    }
  }
}

extension WalkState {
  /// What both know.
  func joined(with other: WalkState) -> WalkState {
    var joined = self
    for index in registers.indices where registers[index] != other.registers[index] {
      for case .key(let key) in [registers[index], other.registers[index]] {
        joined.lostKeys.insert(key)
      }
      joined.registers[index] = .unknown
    }
    if stack != other.stack { joined.stack = .unknown }
    if flags != other.flags { joined.flags = nil }
    joined.memory = memory.filter { other.memory[$0.key] == $0.value }
    for case .key(let key) in memory.filter({ other.memory[$0.key] != $0.value }).values {
      joined.lostKeys.insert(key)
    }
    joined.lostKeys.formUnion(other.lostKeys)
    joined.lostConditions =
      lostConditions || other.lostConditions || conditions != other.conditions
    joined.conditions.formIntersection(other.conditions)
    return joined
  }
}
