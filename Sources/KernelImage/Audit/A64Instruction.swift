package import Ptrauth

/// What the audit understands of an AArch64 instruction (Arm ARM, C4 "A64 instruction set encoding"): enough to follow
/// addresses and key values through the key switch and the C code around it. Everything else is
/// `.other`, which forgets the registers that it may write.
///
/// Registers are numbers 0 to 30; `A64.stackOrZero` (31) is SP or XZR, as the instruction has it.
package enum A64Instruction: Equatable {
  case nop
  case isb
  /// PACIASP, AUTIASP, PACIA ... : uses a key.
  case authenticates(PointerAuthUse)
  case keyRead(KeyRegister, UInt8)
  case keyWrite(KeyRegister, UInt8)
  /// MRS Xt, <system register>; the five fields in one number, `A64.SystemRegister`.
  case readSystem(UInt16, UInt8)
  case writeSystem(UInt16, UInt8)
  /// ADD, SUB (immediate); Rd and Rn 31 are SP, unless flags are set.
  case addImmediate(d: UInt8, n: UInt8, Int64, isWide: Bool, setsFlags: Bool)
  /// ADD, SUB (shifted or extended register).
  case addRegister(
    d: UInt8, n: UInt8, m: UInt8, A64.Operand, isWide: Bool, isSubtraction: Bool, setsFlags: Bool)
  case logicalImmediate(A64.Logic, d: UInt8, n: UInt8, UInt64, isWide: Bool)
  case logicalRegister(
    A64.Logic, d: UInt8, n: UInt8, m: UInt8, A64.Operand, isInverted: Bool, isWide: Bool)
  /// MOVZ, MOVN: the constant.
  case moveConstant(UInt8, UInt64)
  /// MOVK: the bits under the mask are replaced.
  case moveKeep(UInt8, UInt64, mask: UInt64, isWide: Bool)
  /// ADR, ADRP: the absolute address.
  case address(UInt8, UInt64)
  case load(A64.Access)
  case store(A64.Access)
  case conditionalSelect(d: UInt8, n: UInt8, m: UInt8, A64.Condition, isPlain: Bool, isWide: Bool)
  /// SXTW, UXTW and other bit field moves that keep a small constant.
  case extend(d: UInt8, n: UInt8, bits: UInt8, isSigned: Bool, isWide: Bool)
  /// UBFX, LSR: so many bits from `low` on.
  case extract(d: UInt8, n: UInt8, low: UInt8, bits: UInt8, isWide: Bool)
  /// UBFIZ, LSL: the lowest bits, moved left.
  case shiftLeft(d: UInt8, n: UInt8, by: UInt8, bits: UInt8, isWide: Bool)
  case branch(UInt64)
  case call(UInt64)
  case branchIf(A64.Condition, UInt64)
  case compareBranch(t: UInt8, UInt64, ifZero: Bool, isWide: Bool)
  case testBranch(t: UInt8, bit: UInt8, UInt64, ifZero: Bool)
  case indirectBranch(UInt8)
  case indirectCall(UInt8)
  case `return`
  case exceptionReturn
  /// BRK, UDF: does not go on here.
  case trap
  case other(UInt32)
}

package enum PointerAuthUse: Equatable { case signs, authenticates, returns }

package enum A64 {
  static let stackOrZero: UInt8 = 31

  package enum Logic: Equatable { case and, or, exclusiveOr, andSettingFlags }
  package enum Condition: UInt8, Equatable {
    case equal, notEqual, carrySet, carryClear, minus, plus, overflow, noOverflow, higher,
      lowerOrSame, greaterOrEqual, less, greater, lessOrEqual, always, never
  }
  /// How the last operand is changed first: shifted left, or extended and shifted left.
  package enum Operand: Equatable {
    case shiftedLeft(UInt8)
    /// SXTW or UXTW.
    case word(isSigned: Bool, shift: UInt8)
    case other
  }
  /// A load or store of one or two registers.
  package struct Access: Equatable {
    package var first: UInt8
    /// LDP, STP.
    var second: UInt8?
    var base: UInt8
    /// Bytes added to the base; nil: the address is a sum of registers.
    var offset: Int64?
    /// Bytes per register.
    var size: UInt8
    /// Bytes added to the base register for good.
    var writeBack: Int64 = 0
    /// What is loaded or stored is not followed: vectors, literals, sign extension.
    var isOpaque = false

    package init(
      first: UInt8, second: UInt8? = nil, base: UInt8, offset: Int64?, size: UInt8,
      writeBack: Int64 = 0, isOpaque: Bool = false
    ) {
      self.first = first
      self.second = second
      self.base = base
      self.offset = offset
      self.size = size
      self.writeBack = writeBack
      self.isOpaque = isOpaque
    }

    /// No general register is loaded or stored.
    mutating func becomesVector(bytes: UInt8) {
      first = A64.stackOrZero
      second = nil
      size = bytes
      isOpaque = true
    }
  }

  /// System registers as `op0 op1 CRn CRm op2`, 2 + 3 + 4 + 4 + 3 bits (MRS and MSR, bits 20 to 5).
  package enum SystemRegister {
    package static let hcrEL2 = encoding(3, 4, 1, 1, 0)
    package static let tpidrEL1 = encoding(3, 0, 13, 0, 4)
    package static let tpidrEL2 = encoding(3, 4, 13, 0, 2)
    package static let currentEL = encoding(3, 0, 4, 2, 2)

    static func encoding(
      _ op0: UInt16, _ op1: UInt16, _ crn: UInt16, _ crm: UInt16, _ op2: UInt16
    ) -> UInt16 { op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2 }
  }
}
