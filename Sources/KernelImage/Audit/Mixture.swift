/// Bits of one or two symbols and constants in one word, moved right: what `and`, `orr`, `eor` and bit field moves
/// make of the words that they are given.
///
///     ((a & maskA) op (b & maskB) | set) >> shift        set and masks have no bit in common
package struct Mixture: Hashable {
  struct Part: Hashable {
    var symbol: Symbol
    var mask: UInt64
  }

  /// What becomes of a bit that both parts have.
  enum Overlap: Hashable { case none, or, exclusiveOr }

  /// At most two, each with a mask that is not zero.
  private(set) var parts: [Part]
  private(set) var set: UInt64
  private(set) var overlap = Overlap.none
  private(set) var shift: UInt8 = 0

  /// Nil: not the bits of one symbol, or a constant.
  init?(_ value: SymbolicValue) {
    switch value {
    case .constant(let number): (parts, set) = ([], number)
    case .address(let address) where address.offset == 0:
      (parts, set) = ([Part(symbol: address.symbol, mask: .max)], 0)
    case .bits(let symbol, let mask, let set):
      (parts, self.set) = ([Part(symbol: symbol, mask: mask & ~set)], set)
    case .mix(let mixture): self = mixture
    case .address, .key, .unknown: return nil
    }
    tidy()
  }

  /// The bits that are a symbol's.
  func mask(of isWanted: (Symbol) -> Bool) -> UInt64 {
    parts.reduce(0) { isWanted($1.symbol) ? $0 | $1.mask : $0 }
  }

  var support: UInt64 { parts.reduce(set) { $0 | $1.mask } }

  func and(_ mask: UInt64) -> Mixture {
    var result = self
    let whole = shift == 0 ? mask : mask << UInt64(shift)
    result.set &= whole
    for index in result.parts.indices { result.parts[index].mask &= whole }
    result.tidy()
    return result
  }

  func or(_ bits: UInt64) -> Mixture? {
    guard shift == 0 else { return nil }
    var result = self
    result.set |= bits
    for index in result.parts.indices { result.parts[index].mask &= ~bits }
    result.tidy()
    return result
  }

  func movedRight(by amount: UInt8) -> Mixture? {
    guard Int(shift) + Int(amount) < 64 else { return nil }
    var result = self
    result.shift += amount
    return result.and(.max >> UInt64(result.shift))
  }

  /// Nil: beyond what this can say.
  static func combined(_ a: Mixture, _ b: Mixture, _ overlap: Overlap) -> Mixture? {
    guard a.shift == 0, b.shift == 0 else { return nil }
    let isDisjoint = a.support & b.support == 0
    for one in [a, b] where one.overlap != .none && one.overlap != overlap && !isDisjoint {
      return nil
    }
    var result = a
    result.overlap = a.overlap != .none ? a.overlap : b.overlap
    if !isDisjoint { result.overlap = overlap }
    for part in b.parts {
      let index = result.parts.firstIndex { $0.symbol == part.symbol }
      guard let index else {
        result.parts.append(part)
        continue
      }
      if overlap == .exclusiveOr {
        result.parts[index].mask ^= part.mask
      } else {
        result.parts[index].mask |= part.mask
      }
    }
    if overlap == .exclusiveOr {
      guard a.set & b.support == 0, b.set & a.support == 0 else { return nil }
      result.set |= b.set
    } else {
      result.set |= b.set
      for index in result.parts.indices { result.parts[index].mask &= ~result.set }
    }
    result.tidy()
    return result.parts.count <= 2 ? result : nil
  }

  /// As if the other bits were the symbol's; nil: there are bits of others among them.
  func blurred(outside bits: UInt64, of symbol: Symbol) -> Mixture? {
    guard shift == 0, mask(of: { $0 != symbol }) & ~bits == 0,
      let index = parts.firstIndex(where: { $0.symbol == symbol })
    else { return nil }
    var result = self
    result.parts[index].mask |= ~bits
    result.set &= bits
    return result
  }

  private mutating func tidy() {
    parts.removeAll { $0.mask == 0 }
    if parts.count > 1 { parts.sort { "\($0.symbol)" < "\($1.symbol)" } }
    if parts.count < 2 || parts[0].mask & parts[1].mask == 0 { overlap = .none }
  }

  /// As simple as it can be said.
  var value: SymbolicValue {
    if parts.isEmpty { return .constant(set >> UInt64(shift)) }
    guard shift == 0, parts.count == 1 else { return .mix(self) }
    if parts[0].mask == .max { return .symbol(parts[0].symbol) }
    return .bits(parts[0].symbol, mask: parts[0].mask, set: set)
  }
}
