/// Which of the registers that a call may change a callee does change.
///
/// Compilers rely on it: GCC keeps values in X0 to X17 over calls of functions whose code it knows (-fipa-ra), and
/// Clang's outlined functions and its memory tag checks have conventions of their own.
final class CallConvention {
  struct Effect {
    /// Bit n: Xn may be written.
    var written: UInt32
    /// False: not all of its code is known, so the procedure call standard has to stand for it.
    var isCertain: Bool
    /// It stores to its stack frame only.
    var keepsMemory: Bool
    /// The compiler's own, in the middle of whatever it checks.
    var isTagCheck = false

    /// AAPCS64, 6.1.1: X0 to X17 and the link register.
    static let standard = Effect(written: 0x4003_ffff, isCertain: false, keepsMemory: false)
    /// __hwasan_check_* (LLVM, "Hardware-assisted AddressSanitizer", outlined checks): X16 and X17 alone.
    /// Where a tag differs, __hwasan_tag_mismatch saves and restores all others.
    static let tagCheck = Effect(
      written: 0x4003_0000, isCertain: true, keepsMemory: true, isTagCheck: true)
  }

  private let image: KernelImage
  private let alternatives: Alternatives
  private let statics: StaticBranches
  private var known: [UInt64: Effect] = [:]
  private static let instructionLimit = 4096

  init(_ image: KernelImage, _ alternatives: Alternatives, _ statics: StaticBranches) {
    self.image = image
    self.alternatives = alternatives
    self.statics = statics
  }

  func effect(of callee: UInt64) -> Effect {
    if let effect = known[callee] { return effect }
    let effect =
      isTagCheck(callee) ? .tagCheck : EffectWalk(image, alternatives, statics).effect(of: callee)
    known[callee] = effect
    return effect
  }

  private func isTagCheck(_ address: UInt64) -> Bool {
    guard let name = image.symbols?.functionName(beginningAt: address) else { return false }
    return name.hasPrefix("__hwasan_check_") || name.hasPrefix("__hwasan_tag_mismatch")
  }

  /// All code that a call can come to.
  private struct EffectWalk {
    let image: KernelImage
    let alternatives: Alternatives
    let statics: StaticBranches
    private var effect = Effect(written: 1 << 30, isCertain: true, keepsMemory: true)
    private var work: [UInt64] = []
    private var seen: Set<UInt64> = []

    init(_ image: KernelImage, _ alternatives: Alternatives, _ statics: StaticBranches) {
      self.image = image
      self.alternatives = alternatives
      self.statics = statics
    }

    func effect(of callee: UInt64) -> Effect {
      var walk = self
      walk.work = [callee]
      while let place = walk.work.popLast() {
        guard walk.seen.insert(place).inserted else { continue }
        guard walk.seen.count < CallConvention.instructionLimit,
          let word = image.code(at: place, count: 1)?.first, walk.take(word, at: place)
        else { return .standard }
      }
      return walk.effect
    }

    /// False: where it goes on is not known.
    private mutating func take(_ word: UInt32, at place: UInt64) -> Bool {
      for entry in alternatives.entries[place] ?? [] where !entry.isCallback {
        let range = entry.replacement
        for address in stride(from: range.lowerBound, to: range.upperBound, by: 4) {
          guard let word = image.code(at: address, count: 1)?.first else { return false }
          note(word, at: address)
          switch A64Instruction(word, at: address) {
          case .branch(let target), .call(let target), .branchIf(_, let target),
            .compareBranch(_, let target, _, _), .testBranch(_, _, let target, _):
            if !range.contains(target) { work.append(target) }
          case .indirectBranch, .indirectCall: return false
          default: break
          }
        }
      }
      if let target = statics.targets[place] { work.append(target) }
      note(word, at: place)
      let next = place &+ 4
      switch A64Instruction(word, at: place) {
      case .branch(let target):
        work.append(target)
        // Patched out at boot, it goes on.
        if alternatives.entries[place] != nil || statics.targets[place] != nil { work.append(next) }
      case .call(let target), .branchIf(_, let target), .compareBranch(_, let target, _, _),
        .testBranch(_, _, let target, _):
        work += [target, next]
      case .indirectCall: return false
      case .indirectBranch(let register):
        guard let target = veneerTarget(register, place) else { return false }
        work.append(target)
      case .return, .authenticates(.returns), .exceptionReturn, .trap: break
      default: work.append(next)
      }
      return true
    }

    /// Of a linker's range extension: ADRP X16, ADD X16, BR X16.
    private func veneerTarget(_ register: UInt8, _ place: UInt64) -> UInt64? {
      guard let words = image.code(at: place &- 8, count: 2),
        case .address(register, let page) = A64Instruction(words[0], at: place &- 8),
        case .addImmediate(register, register, let offset, true, false) =
          A64Instruction(words[1], at: place &- 4)
      else { return nil }
      return page &+ UInt64(bitPattern: offset)
    }

    private mutating func note(_ word: UInt32, at place: UInt64) {
      effect.written |= A64.written(by: word, at: place)
      switch A64Instruction(word, at: place) {
      case .store(let access) where access.base != A64.stackOrZero: effect.keepsMemory = false
      case .other(let word) where word & 0x0a00_0000 == 0x0800_0000: effect.keepsMemory = false
      default: break
      }
    }
  }
}

extension A64 {
  /// The general registers that an instruction may write, as bits.
  static func written(by word: UInt32, at address: UInt64) -> UInt32 {
    func bits(_ registers: UInt8?...) -> UInt32 {
      registers.compactMap(\.self).reduce(0) { $0 | ($1 < 31 ? 1 << UInt32($1) : 0) }
    }
    switch A64Instruction(word, at: address) {
    case .nop, .isb, .keyWrite, .writeSystem, .branch, .branchIf, .compareBranch, .testBranch,
      .indirectBranch, .return, .exceptionReturn, .trap:
      return 0
    case .authenticates:
      // PACIA Xd and its kin; the others take X17 or X30.
      return word & 0xffff_8000 == 0xdac1_0000 ? bits(word.field(0, 5)) : bits(17, 30)
    case .keyRead(_, let t), .readSystem(_, let t): return bits(t)
    case .addImmediate(let d, _, _, _, _), .addRegister(let d, _, _, _, _, _, _),
      .logicalImmediate(_, let d, _, _, _), .logicalRegister(_, let d, _, _, _, _, _),
      .moveConstant(let d, _), .moveKeep(let d, _, _, _), .address(let d, _),
      .conditionalSelect(let d, _, _, _, _, _), .extend(let d, _, _, _, _),
      .extract(let d, _, _, _, _), .shiftLeft(let d, _, _, _, _):
      return bits(d)
    case .load(let access):
      return bits(access.first, access.second, access.writeBack != 0 ? access.base : nil)
    case .store(let access): return bits(access.writeBack != 0 ? access.base : nil)
    // A veneer may take X16 and X17.
    case .call, .indirectCall: return bits(16, 17, 30)
    case .other(let word):
      guard word & 0x0a00_0000 == 0x0800_0000 else { return bits(word.field(0, 5)) }
      return bits(word.field(0, 5), word.field(5, 5), word.field(10, 5), word.field(16, 5))
    }
  }
}
