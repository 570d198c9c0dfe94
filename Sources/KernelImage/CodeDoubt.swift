/// Whether the symbols tell which code is a function's. A name that is a label's, no size, a size that ends where the
/// code goes on: what is missing is then no fault of the kernel's, and what is there no proof.
///
/// Every function that is read or walked is looked at; what is wrong is kept, and the audit is refused with it.
extension KernelImage {
  /// FUNC symbols called `name`, or a part that the compiler split from it; where one of that name is known to all
  /// files, not the static ones of others.
  func functions(called name: String) -> [KernelFunctionSymbol] {
    let found = symbols?.functions(called: name) ?? []
    if found.isEmpty, !addresses(of: name).isEmpty {
      note("\(name) is not the name of a function")
    }
    let global = symbols?.globalAddresses(of: name) ?? []
    if global.count > 1 { note("\(name) is defined twice") }
    guard global.count == 1 else { return found }
    return found.filter { $0.name != name || global.contains($0.address) }
  }

  /// Keeps why a function's code cannot be told, if it cannot.
  func examine(_ function: KernelFunctionSymbol) {
    guard examined.insert(function.address).inserted, let doubt = doubt(about: function) else {
      return
    }
    note("\(function.name) (0x\(hex(function.address))) \(doubt)")
  }

  /// Keeps a contradiction between symbols and code; the first is told.
  func note(_ contradiction: String) {
    guard codeDoubt == nil else { return }
    codeDoubt = KernelImageError(
      .damaged, path,
      "has symbols that do not tell what code is whose: \(contradiction); give the vmlinux as it was linked"
    )
  }

  /// Why the code of a function cannot be told.
  func doubt(about function: KernelFunctionSymbol) -> String? {
    if function.size == 0 { return "has no size" }
    guard function.address % 4 == 0, function.size % 4 == 0 else {
      return "begins or ends inside of an instruction"
    }
    if symbols?.isOverlapped(at: function.address) ?? false {
      return "shares its bytes with another function"
    }
    guard let count = Int(exactly: function.size / 4),
      let words = elf.code(at: function.address, count: count)
    else { return "has no code, or less than its size" }
    // Nothing between two functions: UDF #0, which traps.
    if words.first == 0 { return "begins where there is no code" }
    return isCut(words, function)
      ? "ends at 0x\(hex(function.address &+ function.size)), and its code goes on" : nil
  }

  /// Whether the code goes on behind the last word, in bytes that no function owns.
  private func isCut(_ words: [UInt32], _ function: KernelFunctionSymbol) -> Bool {
    let end = function.address &+ function.size
    let rest = unowned(from: end)
    guard let last = words.last, rest.contains(where: { !$0.isPadding }) else { return false }
    let place = end &- 4
    if !last.endsCode, alternatives.entries[place] == nil, staticBranches.targets[place] == nil {
      // Behind a call that does not return can lie what is left of a weak function, without its symbol.
      return !last.isCall || !endsInPanic(last, place) && rest.contains(where: \.isOfAFunction)
    }
    // What an assembler puts behind a function (.subsection: the LL/SC way of an atomic) is a few loads and stores.
    guard rest.contains(where: \.isOfAFunction) else { return false }
    let behind = end..<end &+ UInt64(rest.count) * 4
    return words.indices.contains { index in
      let place = function.address &+ UInt64(index) * 4
      guard words[index] & 0xfc00_0000 != 0x9400_0000,
        let target = ControlFlow.target(words[index], place)
      else { return false }
      return behind.contains(target) && symbols?.hasLabel(at: target) == false
    }
  }

  /// A call of __stack_chk_fail, with which compilers end functions, or of a panic.
  private func endsInPanic(_ word: UInt32, _ place: UInt64) -> Bool {
    let callee = ControlFlow.target(word, place).flatMap { symbols?.functionName(beginningAt: $0) }
    return callee.map { $0.hasSuffix("__stack_chk_fail") || $0.contains("panic") } ?? false
  }

  /// What lies from an address up to the next function, without the replacements of alternatives.
  private func unowned(from start: UInt64) -> [UInt32] {
    guard symbols?.function(at: start) == nil else { return [] }
    let next = symbols?.functionStart(behind: start &- 1) ?? .max
    let limit = min(elf.codeEnd(at: start) ?? start, next, start &+ Self.unownedLimit)
    guard limit > start else { return [] }
    return (elf.code(at: start, count: Int((limit - start) / 4)) ?? []).enumerated().map {
      alternatives.entry(replacingWith: start &+ UInt64($0.offset) * 4) == nil ? $0.element : 0
    }
  }

  /// Bytes; the largest function of the key switch has a few thousand.
  private static let unownedLimit: UInt64 = 64 << 10
}

extension UInt32 {
  /// NOP, or nothing.
  fileprivate var isPadding: Bool { self == 0 || self == 0xd503_201f }

  /// BL, BLR and its authenticating kin.
  fileprivate var isCall: Bool {
    self & 0xfc00_0000 == 0x9400_0000 || self & 0xfe00_0000 == 0xd600_0000 && self >> 21 & 7 == 1
  }

  /// B, BR, RET and ERET with their authenticating kin, BRK; what is no instruction traps.
  fileprivate var endsCode: Bool {
    self & 0xfc00_0000 == 0x1400_0000 || self & 0xfe00_0000 == 0xd600_0000 && !isCall
      || self & 0xffe0_001f == 0xd420_0000 || self >> 16 == 0
  }

  /// BL, BR, BLR, RET, ERET, MRS, MSR.
  fileprivate var isOfAFunction: Bool {
    self & 0xfc00_0000 == 0x9400_0000 || self & 0xfe00_0000 == 0xd600_0000
      || self & 0xffd0_0000 == 0xd510_0000
  }
}
