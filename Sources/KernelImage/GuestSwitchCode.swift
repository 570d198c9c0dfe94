/// The code of `__guest_enter` with `__guest_exit` in it, as far as counting passes needs it.
public struct GuestSwitchCode: Sendable {
  /// Link-time address of the first instruction.
  public let address: UInt64
  public let words: [UInt32]
  /// Index of `__guest_exit`'s first instruction.
  public let exitIndex: Int

  /// nil if the image lacks the code or its symbols.
  public init?(of image: KernelImage) {
    guard let address = image.addresses(of: "__guest_enter").first,
      let exit = image.addresses(of: "__guest_exit").first,
      let symbol = image.function(at: address), exit > address,
      let function = image.symbols?.functions(called: "__guest_enter").first
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
  }

  public func isKeyRead(_ index: Int) -> Bool { KeyInstruction.isKeyRead(words[index]) }
  public func isKeyWrite(_ index: Int) -> Bool { KeyInstruction.isKeyWrite(words[index]) }
  public func isExceptionReturn(_ index: Int) -> Bool {
    // ERET, ERETAA, ERETAB
    [0xd69f_03e0, 0xd69f_0bff, 0xd69f_0fff].contains(words[index])
  }
  public func isReturn(_ index: Int) -> Bool {
    // RET Xn, RETAA, RETAB
    words[index] & 0xffff_fc1f == 0xd65f_0000
      || [0xd65f_0bff, 0xd65f_0fff].contains(words[index])
  }
  /// Branches and exceptions: what ends straight-line code (Arm ARM, "Branches, Exception Generating and
  /// System instructions").
  public func endsBlock(_ index: Int) -> Bool {
    let word = words[index]
    return word & 0x7c00_0000 == 0x1400_0000  // B, BL
      || word & 0xff00_0000 == 0x5400_0000  // B.cond, BC.cond
      || word & 0x7e00_0000 == 0x3400_0000  // CBZ, CBNZ
      || word & 0x7e00_0000 == 0x3600_0000  // TBZ, TBNZ
      || word & 0xfe00_0000 == 0xd600_0000  // BR, BLR, RET, ERET
      || word & 0xff00_0000 == 0xd400_0000  // SVC, HVC, SMC, BRK
  }
}
