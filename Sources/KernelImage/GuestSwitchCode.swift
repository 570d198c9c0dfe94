/// The code of `__guest_enter` with `__guest_exit` in it, as far as counting passes needs it.
public struct GuestSwitchCode: Sendable {
  /// Link-time address of the first instruction.
  public let address: UInt64
  public let words: [UInt32]
  /// Index of `__guest_exit`'s first instruction.
  public let exitIndex: Int
  /// What the running kernel may have in place of an instruction, by index (alternatives).
  private var replacements: [Int: [Instruction]] = [:]

  /// An instruction with what its place has to do with it.
  private struct Instruction {
    var word: UInt32
    /// Where it branches to, as an index; it may lie outside of the code.
    var target: Int?
  }

  /// nil if the image lacks the code or its symbols.
  public init?(of image: KernelImage) {
    guard let address = image.addresses(of: "__guest_enter").first,
      let exit = image.addresses(of: "__guest_exit").first,
      let symbol = image.function(at: address), exit > address,
      let function = image.symbols?.functions(called: "__guest_enter").first,
      image.doubt(about: function) == nil, image.addresses(of: "__guest_enter").count == 1
    else { return nil }
    // Before 5.8 __guest_exit is a function of its own, right behind.
    var end = symbol.address + function.size
    if exit >= end, let other = image.symbols?.functions(called: "__guest_exit").first {
      end = other.address + other.size
    }
    guard end > exit, let count = Int(exactly: (end - address) / 4), count < 1 << 16,
      let words = image.code(at: address, count: count)
    else { return nil }
    self.address = address
    self.words = words
    exitIndex = Int((exit - address) / 4)
    takeAlternatives(image.alternatives, image)
  }

  private mutating func takeAlternatives(_ alternatives: Alternatives, _ image: KernelImage) {
    for index in words.indices {
      for entry in alternatives.entries[address + UInt64(index) * 4] ?? [] where !entry.isCallback {
        let range = entry.replacement
        let count = range.count / 4
        for (step, word) in (image.code(at: range.lowerBound, count: count) ?? []).enumerated() {
          let place = index + step
          var target: Int?
          if let offset = Self.branchOffset(word) {
            // The kernel corrects a branch out of the replacement, and moves one within it.
            let end = range.lowerBound &+ UInt64(step) * 4 &+ UInt64(bitPattern: Int64(offset) * 4)
            target =
              range.contains(end)
              ? place + offset : Int(Int64(bitPattern: end &- address) / 4)
          }
          replacements[place, default: []].append(Instruction(word: word, target: target))
        }
      }
    }
  }

  public func isKeyRead(_ index: Int) -> Bool { KeyInstruction.isKeyRead(words[index]) }
  public func isKeyWrite(_ index: Int) -> Bool { KeyInstruction.isKeyWrite(words[index]) }
  public func isExceptionReturn(_ index: Int) -> Bool { Self.isExceptionReturn(words[index]) }
  public func isReturn(_ index: Int) -> Bool { Self.isReturn(words[index]) }

  private static func isExceptionReturn(_ word: UInt32) -> Bool {
    // ERET, ERETAA, ERETAB
    [0xd69f_03e0, 0xd69f_0bff, 0xd69f_0fff].contains(word)
  }
  private static func isReturn(_ word: UInt32) -> Bool {
    // RET Xn, RETAA, RETAB
    word & 0xffff_fc1f == 0xd65f_0000 || [0xd65f_0bff, 0xd65f_0fff].contains(word)
  }
  /// Branches and exceptions: what ends straight-line code (Arm ARM, "Branches, Exception Generating and
  /// System instructions").
  public func endsBlock(_ index: Int) -> Bool { Self.endsBlock(words[index]) }

  private static func endsBlock(_ word: UInt32) -> Bool {
    word & 0x7c00_0000 == 0x1400_0000  // B, BL
      || word & 0xff00_0000 == 0x5400_0000  // B.cond, BC.cond
      || word & 0x7e00_0000 == 0x3400_0000  // CBZ, CBNZ
      || word & 0x7e00_0000 == 0x3600_0000  // TBZ, TBNZ
      || word & 0xfe00_0000 == 0xd600_0000  // BR, BLR, RET, ERET
      || word & 0xff00_0000 == 0xd400_0000  // SVC, HVC, SMC, BRK
  }
}

// MARK: What follows a block

extension GuestSwitchCode {
  /// Where control can next be in this code when a block that begins at `start` has ended with a branch or an
  /// exception: behind the ERET of an entry that is `__guest_exit`, behind a return the next entry. Nil:
  /// anywhere.
  public func successors(of start: Int) -> Set<Int>? {
    var places: Set<Int> = []
    for index in start..<words.count {
      var goesOn = false
      let own = Instruction(
        word: words[index], target: Self.branchOffset(words[index]).map { index + $0 })
      for one in [own] + (replacements[index] ?? []) {
        guard Self.endsBlock(one.word) else {
          goesOn = true
          continue
        }
        if Self.isExceptionReturn(one.word) {
          places.insert(exitIndex)
        } else if Self.isReturn(one.word) {
          places.insert(0)
        } else if let target = one.target, words.indices.contains(target) {
          places.insert(target)
          if !Self.isUnconditional(one.word) { places.insert(index + 1) }
        } else {
          return nil
        }
      }
      if !goesOn { return places }
    }
    return nil
  }

  private static func isUnconditional(_ word: UInt32) -> Bool {
    word & 0xfc00_0000 == 0x1400_0000  // B
  }

  /// Of B, BL, B.cond, CBZ and TBZ, in instructions.
  private static func branchOffset(_ word: UInt32) -> Int? {
    func field(_ bits: UInt32, at shift: UInt32) -> Int {
      Int(Int32(bitPattern: (word >> shift) << (32 - bits)) >> Int32(32 - bits))
    }
    if word & 0x7c00_0000 == 0x1400_0000 { return field(26, at: 0) }
    if word & 0xff00_0000 == 0x5400_0000 || word & 0x7e00_0000 == 0x3400_0000 {
      return field(19, at: 5)
    }
    return word & 0x7e00_0000 == 0x3600_0000 ? field(14, at: 5) : nil
  }
}
