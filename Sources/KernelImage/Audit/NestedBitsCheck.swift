import Ptrauth

/// S15: what API and APK of an L2 guest are made of at load (vcpu_set_pauth_traps, 6.10 on), and whether the host's keys
/// are saved with them.
///
///     shadow = shadow & ~(API | APK) | L1's HCR_EL2 & (API | APK)
///
/// L1's HCR_EL2 is a register of the vCPU: in its context, in the page of FEAT_NV2 (VNCR), or what a function of KVM
/// says of it.
struct NestedBitsCheck {
  let subject: AuditSubject
  let generation: Generation

  private static let both = GuardChecks.both
  /// HCR_EL2 in the page that VNCR_EL2 points to (Arm ARM, D8.11, "Enhanced support for nested virtualization").
  private static let pageOffset: Int64 = 0x78

  func check() -> CodeCheck {
    let functions = ["vcpu_set_pauth_traps", "kvm_arch_vcpu_load"].compactMap { name in
      subject.image.functions(called: name).first { $0.name == name }
    }
    let place = functions.first?.name ?? "kvm_arch_vcpu_load"
    guard generation.hostSave == .everyLoad, generation.load != .clears else {
      return CodeCheck(
        .nested, .notApplicable, at: place,
        "before 6.10 no load takes bits from L1: an L2 guest traps like any other")
    }
    guard let register else {
      return CodeCheck(
        .nested, .notApplicable, at: place, "vCPUs of this kernel have no HCR_EL2: no L2 guest")
    }
    guard let function = functions.first, let offsets = subject.offsets,
      let shadow = offsets.shadow, !subject.walk.alternatives.isEmpty
    else {
      return CodeCheck(
        .nested, .cannotJudge, at: place,
        "no such function, or no struct offsets, or no alternatives")
    }
    let reading = Reading(
      subject: subject, register: register, context: offsets.context, shadow: shadow)
    let result = reading.walk.walk(from: function.address, in: function)
    return judge(reading, result, function)
  }

  /// HCR_EL2 among a vCPU's registers.
  private var register: UInt64? {
    subject.image.enumerator("HCR_EL2", in: "vcpu_sysreg").flatMap { UInt64(exactly: $0) }
  }

  /// Whose bits a symbol's are.
  struct Reading {
    let subject: AuditSubject
    let register: UInt64
    let shadow: Int64

    private var vcpu: Symbol { .argument(0) }
    private var shadowWord: Address { Address(symbol: vcpu, offset: shadow) }

    /// From struct kvm_vcpu to its slot.
    private let slot: Int64?
    /// The page of FEAT_NV2.
    private let page: Symbol?

    init(subject: AuditSubject, register: UInt64, context: Int64, shadow: Int64) {
      func offset(_ path: String) -> Int64? {
        (try? subject.image.offset(of: path)).flatMap { Int64(exactly: $0) }
      }
      self.subject = subject
      self.register = register
      self.shadow = shadow
      slot = offset("kvm_cpu_context.sys_regs[HCR_EL2]").map { context + $0 }
      page = offset("kvm_cpu_context.vncr_array").map {
        .word(Address(symbol: .argument(0), offset: context + $0))
      }
    }

    func isShadow(_ symbol: Symbol) -> Bool { symbol == .word(shadowWord) }

    func isL1(_ symbol: Symbol) -> Bool {
      switch symbol {
      case .virtualRegister(register): return true
      case .word(let address):
        if address.symbol == vcpu { return address.offset == slot }
        return address.symbol == page && address.offset == NestedBitsCheck.pageOffset
      default: return false
      }
    }

    /// A word of the vCPU or of its page, or a register of it: known not to be L1's HCR_EL2.
    func isOther(_ symbol: Symbol) -> Bool {
      guard !isL1(symbol), !isShadow(symbol) else { return false }
      switch symbol {
      case .virtualRegister: return true
      case .word(let address): return address.symbol == vcpu || address.symbol == page
      default: return false
      }
    }

    var walk: PathWalk {
      var walk = subject.codeWalk
      walk.inlineLimit = 64
      walk.stepLimit = 200_000
      let names = [
        "kvm_vcpu_sanitise_vncr_reg", "kvm_vcpu_apply_reg_masks", "vcpu_read_sys_reg",
      ]
      walk.attention = Attention(
        word: shadowWord, bits: GuardChecks.both,
        registerReaders: Set(names.flatMap(subject.image.addresses)),
        tested: { isL1($0) || isShadow($0) })
      return walk
    }
  }

  private enum Answer {
    /// API and APK are as they were, or both set: not this question's.
    case ordinary
    case nested
    case wrong(String)
    case lost
  }

  private func answer(_ value: SymbolicValue, _ reading: Reading, isFirst: Bool) -> Answer {
    guard let mixture = Mixture(value), mixture.shift == 0 else { return .lost }
    let bits = mixture.and(Self.both)
    let before = bits.mask(of: reading.isShadow)
    let l1 = mixture.mask(of: reading.isL1)
    if bits.parts.isEmpty {
      switch bits.set {
      case Self.both: return .ordinary
      case 0:
        return isFirst ? .wrong("an L2 guest gets neither API nor APK, whatever L1 set") : .lost
      default: return .lost
      }
    }
    if let other = mixture.parts.first(where: { reading.isOther($0.symbol) }) {
      guard case .word(let address) = other.symbol else {
        return .wrong("an L2 guest's bits are those of another register of L1 than HCR_EL2")
      }
      return .wrong(
        "an L2 guest's bits come from \(subject.words(address).dropFirst(3)), not from L1's HCR_EL2"
      )
    }
    if l1 == 0 { return before == Self.both && bits.set == 0 ? .ordinary : .lost }
    guard l1 & ~Self.both == 0 else {
      return .wrong(
        "L1's HCR_EL2 is not masked with API and APK: L1 sets other bits of the shadow too")
    }
    guard before == 0 else {
      return isFirst ? .wrong("API and APK from before stay: they are not L1's alone") : .lost
    }
    guard l1 == Self.both, bits.set == 0 else {
      return .wrong("of L1's API and APK only 0x\(hex(l1)) is taken")
    }
    return bits.mask(of: { !reading.isL1($0) }) == 0 ? .nested : .lost
  }

  private func judge(
    _ reading: Reading, _ result: PathWalk.Result, _ function: KernelFunctionSymbol
  ) -> CodeCheck {
    let place = function.name
    var nested: [WalkEvent] = []
    var isLost = !result.isComplete
    for end in result.ends.filter({ $0.kind != .traps }).inOrder {
      let stores = end.state.events.filter {
        if case .stored = $0.kind { true } else { false }
      }
      guard let last = stores.last, case .stored(let value) = last.kind else { continue }
      let isFirst = !stores.dropLast().contains { event in
        guard case .stored(let value) = event.kind, let earlier = Mixture(value) else {
          return true
        }
        return earlier.and(Self.both).mask(of: reading.isShadow) != Self.both
      }
      switch answer(value, reading, isFirst: isFirst) {
      case .ordinary:
        if Mixture(value)?.and(Self.both).set == Self.both,
          let check = unsaved(end, last, place, "both bits are set")
        {
          return check
        }
      case .lost: isLost = true
      case .wrong(let words):
        return CodeCheck(
          .nested, .fail, at: place, words, rule: .nestedBitsDiffer,
          lines: subject.lines(
            stride(from: last.pc - 20, through: last.pc, by: 4), marked: [last.pc]))
      case .nested:
        let isNeverUsed = end.state.conditions.contains {
          if case .bits(let symbol, Self.both, isZero: true) = $0 {
            reading.isL1(symbol)
          } else {
            false
          }
        }
        if !isNeverUsed, let check = unsaved(end, last, place, "L1's bits are taken") {
          return check
        }
        if !nested.contains(last) { nested.append(last) }
      }
    }
    guard let first = nested.first else { return without(function, isLost) }
    guard !isLost else {
      return CodeCheck(
        .nested, .cannotJudge, at: place, "not every way to the shadow's bits could be followed",
        lines: subject.lines([first.pc]))
    }
    return CodeCheck(
      .nested, .pass, at: place,
      "an L2 guest gets L1's API and APK, masked, and the host's keys are saved if either is set; whether it is "
        + "one was not followed",
      lines: subject.lines(
        stride(from: first.pc - 16, through: first.pc, by: 4), marked: [first.pc]))
  }

  /// A path that sets bits, and stores no key. (Whether a save is whole is asked of it alone, S8.)
  private func unsaved(_ end: WalkEnd, _ store: WalkEvent, _ place: String, _ what: String)
    -> CodeCheck?
  {
    guard !end.state.hasStoredAny else { return nil }
    return CodeCheck(
      .nested, .fail, at: place, "\(what), and a way goes on without the host's keys being saved",
      rule: .missedHostSave, lines: subject.lines([store.pc, end.state.pc]))
  }

  /// Nothing was seen to come from L1.
  private func without(_ function: KernelFunctionSymbol, _ isLost: Bool) -> CodeCheck {
    let injectors = ["kvm_inject_nested_sync", "kvm_inject_nested"].flatMap {
      subject.image.addresses(of: $0)
    }
    guard isLost || !injectors.isEmpty else {
      return CodeCheck(
        .nested, .notApplicable, at: function.name,
        "nothing injects an exception into L1, and no load takes bits from it: no L2 guest")
    }
    return CodeCheck(
      .nested, .cannotJudge, at: function.name,
      isLost
        ? "what the shadow's API and APK become could not be followed"
        : "this kernel runs L2 guests, and no way was found on which bits come from L1's HCR_EL2")
  }
}
