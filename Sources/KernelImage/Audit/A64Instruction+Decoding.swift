import Ptrauth

extension A64Instruction {
  /// Decodes the word at an address; branch targets and ADR(P) become absolute.
  package init(_ word: UInt32, at address: UInt64) {
    self =
      Self.system(word) ?? Self.branches(word, address) ?? Self.immediates(word, address)
      ?? Self.registers(word) ?? Self.memory(word, address) ?? .other(word)
  }

  static func system(_ word: UInt32) -> A64Instruction? {
    let t = word.field(0, 5)
    switch word {
    case 0xd503_3fdf: return .isb
    case 0xd65f_03c0: return .return
    case 0xd69f_03e0: return .exceptionReturn
    // PACIASP, PACIBSP, PACIAZ, PACIBZ, PACIA1716, PACIB1716.
    case 0xd503_233f, 0xd503_237f, 0xd503_231f, 0xd503_235f, 0xd503_211f, 0xd503_215f:
      return .authenticates(.signs)
    // The same for AUT.
    case 0xd503_23bf, 0xd503_23ff, 0xd503_239f, 0xd503_23df, 0xd503_219f, 0xd503_21df:
      return .authenticates(.authenticates)
    // RETAA, RETAB.
    case 0xd65f_0bff, 0xd65f_0fff: return .authenticates(.returns)
    default: break
    }
    // The hint space, barriers and CLREX write no register (NOP, BTI, ESB, DSB, DMB ...).
    if word & 0xffff_f01f == 0xd503_201f || word & 0xffff_f01f == 0xd503_301f { return .nop }
    // MSR (immediate): PSTATE fields.
    if word & 0xfff8_f01f == 0xd500_401f { return .nop }
    // BRK, UDF.
    if word & 0xffe0_001f == 0xd420_0000 || word >> 16 == 0 { return .trap }
    guard word & 0xffd0_0000 == 0xd510_0000 else { return dataProcessing(word) }
    let register = UInt16(truncatingIfNeeded: word >> 5)
    let isRead = word & 0x0020_0000 != 0
    if let key = key(register) { return isRead ? .keyRead(key, t) : .keyWrite(key, t) }
    return isRead ? .readSystem(register, t) : .writeSystem(register, t)
  }

  /// PACIA Xd, Xn ... XPACD: 1 1 0 11010110 00001 0xxxxx; PACGA: opcode 001100 of the 2-source group.
  private static func dataProcessing(_ word: UInt32) -> A64Instruction? {
    if word & 0xffff_8000 == 0xdac1_0000 {
      // Bit 12: AUT rather than PAC; XPACI and XPACD (opcode 0100xx) use no key.
      if word & 0x0000_c000 != 0 { return .other(word) }
      return word & 0x0000_1000 == 0 ? .authenticates(.signs) : .authenticates(.authenticates)
    }
    return nil
  }

  static func key(_ register: UInt16) -> KeyRegister? {
    KeyRegister(
      op0: UInt8(register >> 14 & 3), op1: UInt8(register >> 11 & 7),
      crn: UInt8(register >> 7 & 15), crm: UInt8(register >> 3 & 15), op2: UInt8(register & 7))
  }

  private static func branches(_ word: UInt32, _ address: UInt64) -> A64Instruction? {
    func target(_ low: UInt32, _ width: UInt32) -> UInt64 {
      address &+ UInt64(bitPattern: word.signedField(low, width) * 4)
    }
    switch word >> 26 {
    case 0b000101: return .branch(target(0, 26))
    case 0b100101: return .call(target(0, 26))
    default: break
    }
    if word & 0xff00_0010 == 0x5400_0000 {
      guard let condition = A64.Condition(rawValue: UInt8(word & 15)) else { return nil }
      return .branchIf(condition, target(5, 19))
    }
    let t = word.field(0, 5)
    switch word & 0x7e00_0000 {
    case 0x3400_0000:
      return .compareBranch(
        t: t, target(5, 19), ifZero: word & 0x0100_0000 == 0, isWide: word >> 31 == 1)
    case 0x3600_0000:
      return .testBranch(
        t: t, bit: UInt8((word >> 31) << 5) | word.field(19, 5), target(5, 14),
        ifZero: word & 0x0100_0000 == 0)
    default: break
    }
    // BR, BLR, and BRAA ... BLRABZ, which authenticate first.
    if word & 0xfe9f_f000 == 0xd61f_0000 {
      return word & 0x0020_0000 == 0
        ? .indirectBranch(word.field(5, 5)) : .indirectCall(word.field(5, 5))
    }
    return nil
  }

  private static func immediates(_ word: UInt32, _ address: UInt64) -> A64Instruction? {
    let d = word.field(0, 5)
    let n = word.field(5, 5)
    let isWide = word >> 31 == 1
    switch word & 0x1f80_0000 {
    case 0x1100_0000:  // add/subtract, immediate
      var value = Int64(word >> 10 & 0xfff)
      if word & 0x0040_0000 != 0 { value <<= 12 }
      if word & 0x4000_0000 != 0 { value = -value }
      return .addImmediate(
        d: d, n: n, value, isWide: isWide, setsFlags: word & 0x2000_0000 != 0)
    case 0x1200_0000:  // logical, immediate
      guard let mask = A64.bitMask(word) else { return nil }
      return .logicalImmediate(logic(word), d: d, n: n, mask, isWide: isWide)
    case 0x1280_0000:  // move wide
      let shift = UInt64(word >> 21 & 3) * 16
      guard isWide || shift < 32 else { return nil }
      let bits = UInt64(word >> 5 & 0xffff) << shift
      switch word >> 29 & 3 {
      case 0: return .moveConstant(d, isWide ? ~bits : ~bits & 0xffff_ffff)
      case 2: return .moveConstant(d, bits)
      case 3: return .moveKeep(d, bits, mask: 0xffff << shift, isWide: isWide)
      default: return nil
      }
    case 0x1300_0000:  // bit field: UBFM, SBFM with immr 0 are UXTB, SXTW ...
      let (turn, last) = (word.field(16, 6), word.field(10, 6))
      if turn > 0, word & 0x6000_0000 == 0x4000_0000 {
        let width: UInt8 = isWide ? 64 : 32
        guard turn < width, last < width else { return nil }
        return last >= turn
          ? .extract(d: d, n: n, low: turn, bits: last - turn + 1, isWide: isWide)
          : .shiftLeft(d: d, n: n, by: width - turn, bits: last + 1, isWide: isWide)
      }
      guard word & 0x2000_0000 == 0, turn == 0 else { return nil }
      return .extend(
        d: d, n: n, bits: word.field(10, 6) + 1, isSigned: word & 0x4000_0000 == 0,
        isWide: isWide)
    default: break
    }
    switch word & 0x9f00_0000 {
    case 0x1000_0000, 0x9000_0000:
      let value = word.signedField(5, 19) << 2 | Int64(word >> 29 & 3)
      if word >> 31 == 0 { return .address(d, address &+ UInt64(bitPattern: value)) }
      return .address(d, (address & ~0xfff) &+ UInt64(bitPattern: value << 12))
    default: return nil
    }
  }

  private static func logic(_ word: UInt32) -> A64.Logic {
    switch word >> 29 & 3 {
    case 0: .and
    case 1: .or
    case 2: .exclusiveOr
    default: .andSettingFlags
    }
  }

  static func registers(_ word: UInt32) -> A64Instruction? {
    let d = word.field(0, 5)
    let n = word.field(5, 5)
    let m = word.field(16, 5)
    let isWide = word >> 31 == 1
    let shift: A64.Operand =
      word >> 22 & 3 == 0 ? .shiftedLeft(word.field(10, 6)) : .other
    if word & 0x1f00_0000 == 0x0a00_0000 {
      return .logicalRegister(
        logic(word), d: d, n: n, m: m, shift, isInverted: word & 0x0020_0000 != 0, isWide: isWide)
    }
    let isSubtraction = word & 0x4000_0000 != 0
    let setsFlags = word & 0x2000_0000 != 0
    if word & 0x1f20_0000 == 0x0b00_0000 {
      return .addRegister(
        d: d, n: n, m: m, shift, isWide: isWide, isSubtraction: isSubtraction,
        setsFlags: setsFlags)
    }
    if word & 0x1fe0_0000 == 0x0b20_0000 {
      let amount = word.field(10, 3)
      let operand: A64.Operand =
        switch word >> 13 & 7 {
        case 2: .word(isSigned: false, shift: amount)
        case 6: .word(isSigned: true, shift: amount)
        case 3, 7: .shiftedLeft(amount)
        default: .other
        }
      return .addRegister(
        d: d, n: n, m: m, operand, isWide: isWide, isSubtraction: isSubtraction,
        setsFlags: setsFlags)
    }
    if word & 0x1fe0_0800 == 0x1a80_0000,
      let condition = A64.Condition(rawValue: word.field(12, 4))
    {
      let isPlain = word & 0x4000_0400 == 0
      return .conditionalSelect(d: d, n: n, m: m, condition, isPlain: isPlain, isWide: isWide)
    }
    return nil
  }

  private static func memory(_ word: UInt32, _ address: UInt64) -> A64Instruction? {
    let isVector = word & 0x0400_0000 != 0
    let t = word.field(0, 5)
    let n = word.field(5, 5)
    // LDP, STP: opc 101 V 0 mode L imm7 Rt2 Rn Rt.
    if word & 0x3a00_0000 == 0x2800_0000 {
      let opc = word >> 30
      if opc == 3 { return nil }
      let size: UInt8 = isVector ? 4 << UInt8(opc) : opc == 2 ? 8 : 4
      let bytes = word.signedField(15, 7) * Int64(size)
      let mode = word >> 23 & 3
      var access = A64.Access(
        first: t, second: word.field(10, 5), base: n, offset: mode == 1 ? 0 : bytes, size: size,
        writeBack: mode == 1 || mode == 3 ? bytes : 0, isOpaque: isVector || opc == 1)
      if isVector { access.becomesVector(bytes: size * 2) }
      return word & 0x0040_0000 != 0 ? .load(access) : .store(access)
    }
    // LDAR, LDAPR: what READ_ONCE becomes in a build with LTO.
    if word & 0x3fff_fc00 == 0x08df_fc00 || word & 0x3fff_fc00 == 0x38bf_c000 {
      return .load(A64.Access(first: t, base: n, offset: 0, size: 1 << UInt8(word >> 30)))
    }
    // LDR (literal).
    if word & 0x3b00_0000 == 0x1800_0000 {
      return .load(
        A64.Access(first: isVector ? 31 : t, base: 31, offset: nil, size: 8, isOpaque: true))
    }
    guard word & 0x3a00_0000 == 0x3800_0000 else { return nil }
    let scale = word >> 30
    let opc = word >> 22 & 3
    var access = A64.Access(first: t, base: n, offset: nil, size: 1 << UInt8(scale))
    if !isVector, scale == 3, opc == 2 { return .nop }  // PRFM
    if word & 0x0100_0000 != 0 {  // unsigned offset
      access.offset = Int64(word >> 10 & 0xfff) << Int64(scale)
    } else if word & 0x0020_0000 == 0 {
      let bytes = word.signedField(12, 9)
      switch word >> 10 & 3 {
      case 0, 2: access.offset = bytes
      case 1:
        access.offset = 0
        access.writeBack = bytes
      default:
        access.offset = bytes
        access.writeBack = bytes
      }
    } else if word >> 10 & 3 != 2 {
      return nil  // atomics: `.other`
    }
    if isVector {
      access.becomesVector(bytes: 16)
      return opc & 1 == 0 ? .store(access) : .load(access)
    }
    if opc == 0 { return .store(access) }
    // LDRS*: sign-extended, so not what lies in memory.
    return .load(access)
  }
}

extension UInt32 {
  func field(_ low: UInt32, _ width: UInt32) -> UInt8 {
    UInt8(truncatingIfNeeded: self >> low & (1 << width - 1))
  }

  func signedField(_ low: UInt32, _ width: UInt32) -> Int64 {
    Int64(Int32(bitPattern: self << (32 - low - width)) >> Int32(32 - width))
  }
}

extension A64 {
  /// The constant of a logical immediate (Arm ARM, DecodeBitMasks): N:immr:imms is a run of ones, rotated,
  /// in an element of 2 to 64 bits that repeats. Nil: reserved.
  static func bitMask(_ word: UInt32) -> UInt64? {
    let isWide = word >> 31 == 1
    let n = word >> 22 & 1
    let rotation = UInt64(word >> 16 & 0x3f)
    let ones = UInt64(word >> 10 & 0x3f)
    if n == 1, !isWide { return nil }
    let pattern = n << 6 | (~UInt32(ones) & 0x3f)
    guard pattern > 1 else { return nil }
    let length = UInt64(31 - pattern.leadingZeroBitCount)
    let size: UInt64 = 1 << length
    let levels = size - 1
    let count = ones & levels
    guard count != levels else { return nil }
    let run: UInt64 = (1 << (count + 1)) - 1
    let turn = rotation & levels
    let whole: UInt64 = size == 64 ? .max : 1 << size - 1
    let element = turn == 0 ? run : (run >> turn | run << (size - turn)) & whole
    var mask: UInt64 = 0
    var position: UInt64 = 0
    while position < 64 {
      mask |= element << position
      position += size
    }
    return isWide ? mask : mask & 0xffff_ffff
  }
}
