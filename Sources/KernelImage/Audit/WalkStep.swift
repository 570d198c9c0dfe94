import Ptrauth

/// One instruction's effect on a state that does not concern where it goes on.
extension WalkState {
  mutating func execute(_ instruction: A64Instruction) {
    switch instruction {
    case .nop, .branch, .branchIf, .compareBranch, .testBranch, .return, .exceptionReturn, .trap,
      .call, .indirectBranch, .indirectCall:
      break
    case .isb:
      isUnsynchronized = false
      if events.contains(where: { if case .keyWrite = $0.kind { true } else { false } }) {
        record(WalkEvent(pc: pc, kind: .isb))
      }
    case .authenticates: useKeys(isAuthentication: true)
    case .keyRead(let key, let t):
      self[t] = keys[key.rawValue]
      record(WalkEvent(pc: pc, kind: .keyRead(key)))
    case .keyWrite(let key, let t):
      keys[key.rawValue] = self[t]
      isUnsynchronized = true
      record(WalkEvent(pc: pc, kind: .keyWrite(key)))
    case .readSystem(let register, let t):
      switch register {
      case A64.SystemRegister.hcrEL2: self[t] = .symbol(.hcr)
      case A64.SystemRegister.tpidrEL1: self[t] = .symbol(isAtEL2 ? .lowerThread : .perCPU)
      case A64.SystemRegister.tpidrEL2: self[t] = .symbol(.perCPU)
      default: self[t] = .symbol(.result(of: pc))
      }
    case .writeSystem(let register, let t):
      if register == A64.SystemRegister.hcrEL2, case .bits(.hcr, let mask, let set) = self[t] {
        record(WalkEvent(pc: pc, kind: .hcrBits(mask: mask, set: set)))
      } else if register == A64.SystemRegister.hcrEL2, let mixture = Mixture(self[t]) {
        record(WalkEvent(pc: pc, kind: .hcrWritten(mixture)))
      }
    case .address(let d, let value): self[d] = .constant(value)
    case .moveConstant(let d, let value): self[d] = .constant(value)
    case .moveKeep(let d, let bits, let mask, let isWide):
      let value = self[d].and(~mask)
      self[d] = (isWide ? value : value.lowWord).or(bits)
    case .load(let access): load(access)
    case .store(let access): store(access)
    case .conditionalSelect(let d, _, _, _, _, _): self[d] = .unknown
    case .extend(let d, let n, let bits, let isSigned, let isWide):
      self[d] = extended(self[n], bits, isSigned, isWide)
    case .extract(let d, let n, let low, let bits, let isWide):
      let value = isWide ? self[n] : self[n].lowWord
      let moved = Mixture(value)?.movedRight(by: low)
      self[d] = moved.map { $0.and(bits < 64 ? (1 << UInt64(bits)) - 1 : .max).value } ?? .unknown
    case .shiftLeft(let d, let n, let amount, let bits, let isWide):
      guard case .constant(let number) = self[n] else {
        self[d] = .unknown
        break
      }
      let value = number & (bits < 64 ? (1 << UInt64(bits)) - 1 : .max)
      self[d] = .constant(value << UInt64(amount) & (isWide ? .max : 0xffff_ffff))
    case .addImmediate, .addRegister, .logicalImmediate, .logicalRegister: compute(instruction)
    case .other(let word): forget(word)
    }
  }

  mutating func useKeys(isAuthentication: Bool) {
    if isUnsynchronized { record(WalkEvent(pc: pc, kind: .unsynchronizedUse)) }
    let wrote = events.contains { if case .keyWrite = $0.kind { true } else { false } }
    if isAuthentication, wrote { record(WalkEvent(pc: pc, kind: .authenticates)) }
  }

  private mutating func compute(_ instruction: A64Instruction) {
    switch instruction {
    case .addImmediate(let d, let n, let value, let isWide, let setsFlags):
      let operand = base(n)
      var result = operand.adding(value)
      if !isWide { result = result.lowWord }
      if setsFlags {
        flags =
          if value == 0 {
            .zero(isWide ? operand : operand.lowWord)
          } else if value < 0, case .constant(let a) = operand {
            .difference(a, UInt64(-value), isWide: isWide)
          } else {
            nil
          }
        self[d] = result
      } else {
        setBase(d, result)
      }
    case .addRegister(
      let d, let n, let m, let operand, let isWide, let isSubtraction, let setsFlags):
      let first = operandNeedsStack(operand) ? base(n) : self[n]
      let second = shifted(self[m], operand)
      var result = sum(first, second, isSubtraction)
      if !isWide { result = result.lowWord }
      if setsFlags {
        flags = nil
        if isSubtraction, case .constant(let a) = first, case .constant(let b) = second {
          flags = .difference(a, b, isWide: isWide)
        }
        self[d] = result
      } else if operandNeedsStack(operand) {
        setBase(d, result)
      } else {
        self[d] = result
      }
    case .logicalImmediate(let logic, let d, let n, let mask, let isWide):
      apply(logic, d, self[n], .constant(mask), isWide, toStack: true)
    case .logicalRegister(let logic, let d, let n, let m, let operand, let isInverted, let isWide):
      var second = shifted(self[m], operand)
      if isInverted {
        if case .constant(let value) = second {
          second = .constant(~value)
        } else {
          second = .unknown
        }
      }
      apply(logic, d, self[n], second, isWide, toStack: false)
    default: break
    }
  }

  /// Only the extended form may name SP.
  private func operandNeedsStack(_ operand: A64.Operand) -> Bool {
    if case .word = operand { return true }
    return false
  }

  private mutating func apply(
    _ logic: A64.Logic, _ d: UInt8, _ a: SymbolicValue, _ b: SymbolicValue, _ isWide: Bool,
    toStack: Bool
  ) {
    var result: SymbolicValue
    switch (logic, a, b) {
    case (.or, .constant(0), let other), (.or, let other, .constant(0)): result = other
    case (.or, .constant(let bits), let other), (.or, let other, .constant(let bits)):
      result = other.or(bits)
    case (.and, .constant(let mask), let other), (.and, let other, .constant(let mask)),
      (.andSettingFlags, .constant(let mask), let other),
      (.andSettingFlags, let other, .constant(let mask)):
      result = other.and(mask)
    default: result = mixed(logic, a, b)
    }
    if !isWide, result != .unknown {
      if case .address = result { result = .unknown } else { result = result.lowWord }
    }
    if logic == .andSettingFlags {
      flags = .zero(result)
      self[d] = result
    } else if toStack {
      setBase(d, result)
    } else {
      self[d] = result
    }
  }

  /// Of two values that are no constants.
  private func mixed(_ logic: A64.Logic, _ a: SymbolicValue, _ b: SymbolicValue) -> SymbolicValue {
    guard let a = Mixture(a), let b = Mixture(b) else { return .unknown }
    return switch logic {
    case .or: Mixture.combined(a, b, .or)?.value ?? .unknown
    case .exclusiveOr: Mixture.combined(a, b, .exclusiveOr)?.value ?? .unknown
    case .and, .andSettingFlags: .unknown
    }
  }

  private func sum(_ a: SymbolicValue, _ b: SymbolicValue, _ isSubtraction: Bool) -> SymbolicValue {
    switch (a, b) {
    case (_, .constant(let value)):
      let bytes = Int64(bitPattern: value)
      return a.adding(isSubtraction ? 0 &- bytes : bytes)
    case (.constant(let value), .address) where !isSubtraction:
      return b.adding(Int64(bitPattern: value))
    case (.address(let x), .address(let y)) where isSubtraction && x.symbol == y.symbol:
      return .constant(UInt64(bitPattern: x.offset &- y.offset))
    default: return .unknown
    }
  }

  private func shifted(_ value: SymbolicValue, _ operand: A64.Operand) -> SymbolicValue {
    switch operand {
    case .shiftedLeft(0): return value
    case .shiftedLeft(let amount):
      guard case .constant(let number) = value else { return .unknown }
      return .constant(amount < 64 ? number << UInt64(amount) : 0)
    case .word(let isSigned, let shift):
      guard case .constant(let number) = value else { return .unknown }
      let word = UInt32(truncatingIfNeeded: number)
      let wide = isSigned ? UInt64(bitPattern: Int64(Int32(bitPattern: word))) : UInt64(word)
      return .constant(wide << UInt64(shift))
    case .other: return .unknown
    }
  }

  private func extended(
    _ value: SymbolicValue, _ bits: UInt8, _ isSigned: Bool, _ isWide: Bool
  ) -> SymbolicValue {
    guard bits <= 64 else { return .unknown }
    if bits == 64 { return value }
    let mask: UInt64 = 1 << UInt64(bits) - 1
    guard isSigned else { return value.and(mask) }
    guard case .constant(let number) = value, number & mask < 1 << UInt64(bits - 1) else {
      return .unknown
    }
    return .constant(number & mask)
  }

  private mutating func load(_ access: A64.Access) {
    let base = base(access.base)
    let registers = [access.first] + (access.second.map { [$0] } ?? [])
    // What is at an address that is not followed has an identity at least: a per-CPU base may be built on it.
    var values: [SymbolicValue] = registers.map { _ in
      access.size == 8 && access.second == nil && !access.isOpaque
        ? .symbol(.result(of: pc)) : .unknown
    }
    if case .address(let start) = base, let offset = access.offset, access.size == 8,
      !access.isOpaque
    {
      for index in registers.indices {
        values[index] = loaded(from: start.adding(offset + 8 * Int64(index)))
      }
    }
    writeBack(access, base)
    for (register, value) in zip(registers, values) { self[register] = value }
    if case .address(let start) = base, start.symbol == .stack { return }
    for register in registers where (19...30).contains(register) {
      record(WalkEvent(pc: pc, kind: .reload(register)))
    }
  }

  private mutating func store(_ access: A64.Access) {
    let base = base(access.base)
    let registers = [access.first] + (access.second.map { [$0] } ?? [])
    for (index, register) in registers.enumerated() {
      let value = access.isOpaque ? SymbolicValue.unknown : self[register]
      guard case .address(let start) = base, let offset = access.offset else {
        if case .constant(..<4096) = base { isImpossible = true }
        if case .key(let key) = value {
          record(WalkEvent(pc: pc, kind: .keyStore(key, nil)))
        }
        continue
      }
      let address = start.adding(offset + Int64(access.size) * Int64(index))
      guard access.size == 8, !access.isOpaque else {
        forget(at: address, size: Int64(access.size))
        continue
      }
      switch value {
      case .key(let key): record(WalkEvent(pc: pc, kind: .keyStore(key, address)))
      case .bits(.word(address), let mask, let set), .bits(.argument, let mask, let set):
        record(WalkEvent(pc: pc, kind: .wordBits(address, mask: mask, set: set)))
      default: break
      }
      storeWord(value, at: address)
    }
    writeBack(access, base)
  }

  private mutating func writeBack(_ access: A64.Access, _ base: SymbolicValue) {
    if access.writeBack != 0 { setBase(access.base, base.adding(access.writeBack)) }
  }

  /// Registers that an instruction which is not understood may write.
  private mutating func forget(_ word: UInt32) {
    flags = nil
    switch word >> 24 {
    case 0xd4:
      // HVC and SMC answer in X0 to X3 (SMCCC 1.1, 2.6); SVC, BRK and HLT have no result.
      for register in 0...3 as ClosedRange<UInt8> where word & 0x1f == 2 || word & 0x1f == 3 {
        self[register] = .unknown
      }
      return
    // MSR, SYS: DC, IC, TLBI, AT. Their register is read.
    case 0xd5 where word & 0xffe0_0000 == 0xd500_0000: return
    // CCMN, CCMP, RMIF: in the place of a destination is what the flags become.
    case _ where word & 0x3fe0_0410 == 0x3a40_0000: return
    case 0xba where word & 0xffe0_7c10 == 0xba00_0400: return
    default: self[word.field(0, 5)] = .unknown
    }
    // Loads, stores and atomics: also the other fields.
    if word & 0x0a00_0000 == 0x0800_0000 {
      self[word.field(10, 5)] = .unknown
      self[word.field(16, 5)] = .unknown
    }
    // Vector structures and memory tags with write-back.
    if word & 0xbe80_0000 == 0x0c80_0000 || word >> 24 == 0xd9 {
      setBase(word.field(5, 5), .unknown)
    }
  }
}
