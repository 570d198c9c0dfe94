package import Ptrauth

/// Where an address that the code does not know comes from.
package indirect enum Symbol: Hashable {
  /// X0 ... X30 as the function was entered.
  case argument(UInt8)
  case stack
  /// TPIDR_EL1 or TPIDR_EL2, the one of the level that the code runs at: the offset of this CPU's data. A per-CPU
  /// variable is its link-time address added to it.
  case perCPU
  /// TPIDR_EL1 at EL2, where it is the guest's or the host's of nVHE.
  case lowerThread
  /// The 64 bits at an address.
  case word(Address)
  /// What less than 64 bits were stored to, so many bytes, where the symbol points.
  case narrow(UInt8, Symbol)
  /// HCR_EL2 in the CPU.
  case hcr
  /// What a function of KVM says that a vCPU's register holds, by its number in enum vcpu_sysreg.
  case virtualRegister(UInt64)
  /// What an instruction left that is not followed further.
  case result(of: UInt64)
}

extension Symbol {
  /// The function's own frame.
  var isStack: Bool {
    switch self {
    case .stack: true
    case .narrow(_, let symbol): symbol.isStack
    default: false
    }
  }
}

/// Bytes behind a symbol.
package struct Address: Hashable {
  package var symbol: Symbol
  package var offset: Int64

  package init(symbol: Symbol, offset: Int64) {
    self.symbol = symbol
    self.offset = offset
  }

  func adding(_ bytes: Int64) -> Address { Address(symbol: symbol, offset: offset &+ bytes) }
}

/// What a register or a word in memory holds, as far as it matters to the key switch.
package enum SymbolicValue: Hashable {
  case constant(UInt64)
  /// A symbol and a number of bytes behind it.
  case address(Address)
  /// What a key register held when the walk began.
  case key(KeyRegister)
  /// `symbol & mask | set`.
  case bits(Symbol, mask: UInt64, set: UInt64)
  /// Bits of two symbols, or moved ones.
  case mix(Mixture)
  case unknown

  static func symbol(_ symbol: Symbol) -> SymbolicValue {
    .address(Address(symbol: symbol, offset: 0))
  }

  /// Telling two such values apart is worth a walk of its own.
  var isWorthKeeping: Bool {
    switch self {
    case .unknown, .mix: false
    // The link-time address of a variable.
    case .constant(let value): value >> 48 == 0xffff && value & 0xffff_ffff_ffff != 0xffff_ffff_ffff
    case .address(let address):
      switch address.symbol {
      // A place in what a call or a load came to: the nVHE copy's per-CPU data.
      case .result: address.offset != 0
      default: true
      }
    case .key, .bits: true
    }
  }

  var isMix: Bool { if case .mix = self { true } else { false } }

  /// A per-CPU variable, or the link-time address of one.
  var isPerCPU: Bool {
    switch self {
    case .constant: isWorthKeeping
    case .address(let address): address.symbol == .perCPU
    case .key, .bits, .mix, .unknown: false
    }
  }

  func adding(_ bytes: Int64) -> SymbolicValue {
    switch self {
    case .constant(let value): .constant(value &+ UInt64(bitPattern: bytes))
    case .address(let address): .address(address.adding(bytes))
    case .key, .bits, .mix, .unknown: bytes == 0 ? self : .unknown
    }
  }

  /// The symbol whose bits these are.
  private var whole: (symbol: Symbol, mask: UInt64, set: UInt64)? {
    switch self {
    case .address(let address) where address.offset == 0: (address.symbol, .max, 0)
    case .bits(let symbol, let mask, let set): (symbol, mask, set)
    default: nil
    }
  }

  func and(_ mask: UInt64) -> SymbolicValue {
    if case .constant(let value) = self { return .constant(value & mask) }
    if case .mix(let mixture) = self { return mixture.and(mask).value }
    guard let whole else { return .unknown }
    return .bits(whole.symbol, mask: whole.mask & mask, set: whole.set & mask)
  }

  func or(_ bits: UInt64) -> SymbolicValue {
    if case .constant(let value) = self { return .constant(value | bits) }
    if case .mix(let mixture) = self { return mixture.or(bits)?.value ?? .unknown }
    guard let whole else { return .unknown }
    return .bits(whole.symbol, mask: whole.mask & ~bits, set: whole.set | bits)
  }

  /// The low 32 bits, zero-extended.
  var lowWord: SymbolicValue {
    switch self {
    case .constant(let value): .constant(value & 0xffff_ffff)
    case .bits, .mix: and(0xffff_ffff)
    default: .unknown
    }
  }
}
