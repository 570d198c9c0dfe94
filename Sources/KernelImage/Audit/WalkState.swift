package import Ptrauth

/// One way to have come to an instruction: what registers and memory hold then, and what happened to keys.
package struct WalkState: Hashable {
  package var pc: UInt64
  /// X0 ... X30.
  var registers: [SymbolicValue]
  var stack = SymbolicValue.symbol(.stack)
  var flags: Flags?
  /// 64-bit words that were stored.
  package var memory: [Address: SymbolicValue] = [:]
  /// The key registers, by `KeyRegister.rawValue`.
  var keys: [SymbolicValue]
  /// In order; an instruction that is met again is not listed again.
  var events: [WalkEvent] = []
  var conditions: Set<WalkCondition> = []
  /// Calls that were followed, and tail calls.
  var frames: [Frame] = []
  /// In replacement instructions: where they end, and where the code goes on then.
  var replacement: Replacement?
  /// A key register was written, and no isb came since.
  var isUnsynchronized = false

  /// Key registers whose content the walk lost sight of: over a call whose effect is not known, or where
  /// ways were taken together.
  var lostKeys: Set<KeyRegister> = []

  /// Ways that assume different things became one: it assumes what they have in common.
  var lostConditions = false

  /// It stored through a null pointer: what the code takes for impossible.
  var isImpossible = false

  enum Flags: Hashable {
    /// Z is set if this is zero.
    case zero(SymbolicValue)
    /// Of `a - b`.
    case difference(UInt64, UInt64, isWide: Bool)
  }

  struct Frame: Hashable {
    /// The code that is not left without a call.
    var function: Range<UInt64>
    /// Nil: a tail call of the function where the walk began.
    var resume: UInt64?
  }

  struct Replacement: Hashable {
    var end: UInt64
    var resume: UInt64
  }

  /// The code runs at EL2 whatever the kernel does: what EL1's registers hold is the guest's, or the host's of nVHE.
  let isAtEL2: Bool

  package init(at pc: UInt64, isAtEL2: Bool = false) {
    self.pc = pc
    self.isAtEL2 = isAtEL2
    registers = (0..<31).map { .symbol(.argument(UInt8($0))) }
    keys = KeyRegister.allCases.map(SymbolicValue.key)
  }

  /// The value of a register; 31 is XZR.
  subscript(register: UInt8) -> SymbolicValue {
    get { register < 31 ? registers[Int(register)] : .constant(0) }
    set { if register < 31 { registers[Int(register)] = newValue } }
  }

  /// The same, where 31 is SP.
  func base(_ register: UInt8) -> SymbolicValue { register == 31 ? stack : self[register] }

  mutating func setBase(_ register: UInt8, _ value: SymbolicValue) {
    if register == 31 { stack = value } else { self[register] = value }
  }

  mutating func record(_ event: WalkEvent) {
    guard !events.contains(where: { $0.pc == event.pc && $0.kind == event.kind }) else { return }
    events.append(event)
  }

  /// What is at an address: what was stored there, else the word that was there before.
  func loaded(from address: Address) -> SymbolicValue {
    memory[address] ?? .symbol(.word(address))
  }

  mutating func storeWord(_ value: SymbolicValue, at address: Address) {
    forget(at: address, size: 8)
    // A word that is not followed is what is there from now on.
    if value != .unknown { memory[address] = value }
  }

  /// Stores of other sizes leave nothing known at words they touch.
  mutating func forget(at address: Address, size: Int64) {
    for distance in -7..<size { memory[address.adding(distance)] = nil }
  }

  /// Words of memory, the stack's left out, that hold what a key register held: by offset, and where two have one
  /// offset, by what it is counted from. A dictionary's own order is another in each process.
  package var keyWords: [(address: Address, key: KeyRegister)] {
    memory.compactMap { entry -> (address: Address, key: KeyRegister)? in
      guard case .key(let key) = entry.value, entry.key.symbol != .stack else { return nil }
      return (entry.key, key)
    }
    .sorted {
      $0.address.offset == $1.address.offset
        ? "\($0.address.symbol)" < "\($1.address.symbol)" : $0.address.offset < $1.address.offset
    }
  }

  /// The content of each key register went to memory on this path.
  var hasStoredAll: Bool {
    var stored: Set<KeyRegister> = []
    for event in events { if case .keyStore(let key, _) = event.kind { stored.insert(key) } }
    return stored.count == KeyRegister.allCases.count
  }

  /// That of any of them did.
  var hasStoredAny: Bool {
    events.contains { if case .keyStore = $0.kind { true } else { false } }
  }

  /// A function was called that is not followed.
  mutating func forgetAfterCall(at pc: UInt64, _ effect: CallConvention.Effect = .standard) {
    // X18 is the shadow call stack's or reserved; X19 to X29 come back.
    for register in [30] + Array(0...17) as [UInt8] {
      let isWritten = effect.written >> UInt32(register) & 1 == 1
      if case .key(let key) = self[register] {
        guard isWritten else { continue }
        if !effect.isCertain { lostKeys.insert(key) }
      }
      // What is left of other values is worth no walk of its own, but where the call is the compiler's check.
      if isWritten || !effect.isTagCheck {
        self[register] = register == 0 ? .symbol(.result(of: pc)) : .unknown
      }
    }
    flags = nil
    if effect.keepsMemory { return }
    memory = memory.filter { entry in
      if case .key = entry.value { return true }
      return entry.key.symbol.isStack
    }
  }
}

/// Something that happened to keys, or that their order is judged by.
struct WalkEvent: Hashable {
  var pc: UInt64
  var kind: Kind

  package enum Kind: Hashable {
    case keyRead(KeyRegister)
    /// HCR_EL2 was written, with bits of words in memory or constants.
    case hcrWritten(Mixture)
    case keyWrite(KeyRegister)
    /// The content of a key register went to memory; nil: at an address that is not followed.
    case keyStore(KeyRegister, Address?)
    /// X19 ... X30 was loaded from elsewhere than the stack.
    case reload(UInt8)
    /// A key was used, or the code left, with keys written and no isb since.
    case unsynchronizedUse
    case authenticates
    /// A word in memory was changed bit by bit: `word & mask | set`.
    case wordBits(Address, mask: UInt64, set: UInt64)
    /// The word that the walk attends to got this.
    case stored(SymbolicValue)
    /// A function that the walk attends to was called, with so much in X0 and X1.
    case called(UInt64, SymbolicValue, SymbolicValue)
    /// HCR_EL2 was written so.
    case hcrBits(mask: UInt64, set: UInt64)
    case isb
  }
}

/// What a path assumes.
enum WalkCondition: Hashable {
  /// A word tested by CBZ, TBZ, TST ...: `symbol & mask` is zero, or not.
  case bits(Symbol, mask: UInt64, isZero: Bool)
  /// The CPU has a capability, so alternatives with it are patched in; or it has not.
  case capability(UInt16, isPresent: Bool)
  /// A branch whose condition is not followed.
  case guess(at: UInt64, isTaken: Bool)
}

/// A path's end.
package struct WalkEnd: Hashable {
  package enum Kind: Hashable {
    case returns
    case exceptionReturn
    /// Goes on in another function.
    case leaves(UInt64?)
    /// Where calls end a path.
    case calls(UInt64)
    /// BRK.
    case traps
  }

  package var kind: Kind
  package var state: WalkState

  package init(kind: Kind, state: WalkState) {
    self.kind = kind
    self.state = state
  }
}
