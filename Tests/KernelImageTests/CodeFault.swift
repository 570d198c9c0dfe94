import KernelImage
import Ptrauth
import Testing

let nop: UInt32 = 0xd503_201f

/// One way to break the key switch in code, and the one answer that has to change.
struct CodeFault: Sendable, CustomTestStringConvertible {
  let testDescription: String
  /// Where the code begins: "__guest_enter", "__guest_exit" or the host save.
  let place: String
  let question: CodeCheck.Question
  let rule: String
  /// The changed instructions by their index from `place` on.
  let change: @Sendable ([UInt32]) -> [Int: UInt32]
}

func isMSR(_ word: UInt32) -> Bool { word & 0xffff_f000 == 0xd518_2000 }
func isMRS(_ word: UInt32) -> Bool { word & 0xffff_f000 == 0xd538_2000 }
/// LDP and STP of two 64-bit registers, signed offset.
func isLDP(_ word: UInt32) -> Bool { word & 0xffc0_0000 == 0xa940_0000 }
func isSTP(_ word: UInt32) -> Bool { word & 0xffc0_0000 == 0xa900_0000 }

extension [UInt32] {
  func indices(_ isWanted: (UInt32) -> Bool) -> [Int] {
    indices.filter { isWanted(self[$0]) }
  }
  /// The CBZ in front of the first key access.
  var guardBranch: Int {
    let first = firstIndex { isMSR($0) || isMRS($0) } ?? 0
    return self[..<first].lastIndex { $0 & 0xff00_0000 == 0xb400_0000 } ?? 0
  }
  /// ADD Xb, Xctx, #slots before the key access of that number among those that `isWanted`.
  func base(before index: Int) -> Int {
    self[..<index].lastIndex { $0 & 0xffc0_0000 == 0x9100_0000 } ?? 0
  }
}

let guestSwitchFaults: [CodeFault] = [
  CodeFault(
    testDescription: "enter: one key is not written", place: "__guest_enter", question: .keySet,
    rule: "partial-key-set"
  ) { [$0.indices(isMSR)[9]: nop] },
  CodeFault(
    testDescription: "enter: LO and HI swapped", place: "__guest_enter", question: .keySet,
    rule: "partial-key-set"
  ) { words in
    let at = words.indices(isMSR)
    return [at[2]: words[at[2]] ^ 0x20, at[3]: words[at[3]] ^ 0x20]
  },
  CodeFault(
    testDescription: "enter: a pair from the wrong slot", place: "__guest_enter", question: .keySet,
    rule: "partial-key-set"
  ) { words in
    // LDP x1, x2, [x0, #0x10] becomes #0x20.
    let load = words.indices(isMSR)[2] - 1
    return [load: words[load] & ~(0x7f << 15) | 4 << 15]
  },
  CodeFault(
    testDescription: "enter: the guard is always false", place: "__guest_enter", question: .keySet,
    rule: "missed-guest-restore"
  ) { words in [words.guardBranch: 0x1400_0000 | words[words.guardBranch] >> 5 & 0x7ffff] },
  CodeFault(
    testDescription: "enter: no guard", place: "__guest_enter", question: .bits,
    rule: "host-key-leak"
  ) { [$0.guardBranch: nop] },
  CodeFault(
    testDescription: "enter: guard tests API only", place: "__guest_enter", question: .bits,
    rule: "host-key-leak"
  ) { words in [words.guardBranch - 1: words[words.guardBranch - 1] & 0xffc0_03ff | 0x0057_0000] },
  CodeFault(
    testDescription: "enter: wrong base", place: "__guest_enter", question: .base,
    rule: "missed-guest-restore"
  ) { words in
    let base = words.base(before: words.indices(isMSR)[0])
    return [base: words[base] + 8 << 10]
  },
  CodeFault(
    testDescription: "exit: no guest key is stored", place: "__guest_exit", question: .keySet,
    rule: "missed-guest-save"
  ) { words in
    let reads = words.indices(isMRS)
    let stores = words.indices(isSTP).filter { $0 > reads[0] && $0 <= reads[9] + 1 }
    return Dictionary(uniqueKeysWithValues: stores.map { ($0, nop) })
  },
  CodeFault(
    testDescription: "exit: APGA is not stored", place: "__guest_exit", question: .keySet,
    rule: "partial-key-set"
  ) { [$0.indices(isMRS)[9] + 1: nop] },
  CodeFault(
    testDescription: "exit: one register is not read", place: "__guest_exit", question: .keySet,
    rule: "partial-key-set"
  ) { [$0.indices(isMRS)[5]: nop] },
  CodeFault(
    testDescription: "exit: no isb", place: "__guest_exit", question: .isb, rule: "missing-isb"
  ) { words in
    let last = words.indices(isMSR)[9]
    return [words[last...].firstIndex(of: 0xd503_3fdf) ?? 0: nop]
  },
  CodeFault(
    testDescription: "exit: no guard", place: "__guest_exit", question: .bits, rule: "host-key-leak"
  ) { [$0.guardBranch: nop] },
  CodeFault(
    testDescription: "exit: restores the guest's own slots", place: "__guest_exit", question: .base,
    rule: "missed-host-restore"
  ) { words in
    // ADD x3, x2, #slots becomes ADD x3, x1, #slots.
    let base = words.base(before: words.indices(isMSR)[0])
    return [base: words[base] & ~(31 << 5) | 1 << 5]
  },
  CodeFault(
    testDescription: "exit: saves to the wrong base", place: "__guest_exit", question: .base,
    rule: "missed-guest-save"
  ) { words in
    // What lies behind the slots is stored to later.
    let base = words.base(before: words.indices(isMRS)[0])
    return [base: words[base] - 16 << 10]
  },
  CodeFault(
    testDescription: "exit: the exit code is overwritten", place: "__guest_exit",
    question: .registers, rule: "missed-host-restore"
  ) { words in
    let save = words.indices(isMSR)[9]
    let load = words[..<save].lastIndex(where: isLDP) ?? 0
    // LDP x4, x5 and MSR x4 become LDP x0, x5 and MSR x0.
    return [load: words[load] & ~31, save - 1: words[save - 1] & ~31]
  },
  CodeFault(
    testDescription: "enter: a register twice, another never", place: "__guest_enter",
    question: .keySet, rule: "partial-key-set"
  ) { words in
    // MSR APDBKEYLO_EL1 becomes MSR APDAKEYLO_EL1.
    let at = words.indices(isMSR)[6]
    return [at: words[at] & ~0xfe0 | words[words.indices(isMSR)[4]] & 0xfe0]
  },
  CodeFault(
    testDescription: "enter: a pointer is authenticated before the ERET", place: "__guest_enter",
    question: .isb, rule: "missed-host-restore"
  ) { words in
    // MSR SP_EL0 becomes AUTIASP.
    let last = words.indices(isMSR)[9]
    let stack = words[last...].firstIndex { $0 & 0xffff_ffe0 == 0xd518_4100 }
    return [stack ?? 0: 0xd503_23bf]
  },
  CodeFault(
    testDescription: "enter: x2 and x3 are not loaded again", place: "__guest_enter",
    question: .registers, rule: "host-key-leak"
  ) { words in
    let last = words.indices(isMSR)[9]
    let load = words[last...].firstIndex { isLDP($0) && $0 & 0x7c1f == 3 << 10 | 2 }
    return [load ?? 0: nop]
  },
  CodeFault(
    testDescription: "exit: save pairs LO with HI", place: "__guest_exit", question: .keySet,
    rule: "partial-key-set"
  ) { words in
    let at = words.indices(isMRS)
    return [at[8]: words[at[8]] ^ 0x20, at[9]: words[at[9]] ^ 0x20]
  },
  CodeFault(
    testDescription: "exit: two keys saved to one slot", place: "__guest_exit", question: .keySet,
    rule: "partial-key-set"
  ) { words in
    let store = words.indices(isMRS)[3] + 1
    return [store: words[store] & ~(0x7f << 15) | 4 << 15]
  },
  CodeFault(
    testDescription: "exit: one host key is not restored", place: "__guest_exit",
    question: .keySet, rule: "partial-key-set"
  ) { [$0.indices(isMSR)[0]: nop] },
  CodeFault(
    testDescription: "exit: restores APDA from APDB's slot", place: "__guest_exit",
    question: .keySet, rule: "partial-key-set"
  ) { words in
    let load = words.indices(isMSR)[4] - 1
    return [load: words[load] & ~(0x7f << 15) | 6 << 15]
  },
  CodeFault(
    testDescription: "exit: the host's slots are 8 bytes off", place: "__guest_exit",
    question: .base, rule: "missed-host-restore"
  ) { words in
    let base = words.base(before: words.indices(isMSR)[0])
    return [base: words[base] + 8 << 10]
  },
  CodeFault(
    testDescription: "exit: the isb comes before the last key", place: "__guest_exit",
    question: .isb, rule: "missing-isb"
  ) { words in
    let last = words.indices(isMSR)[9]
    return [last: 0xd503_3fdf, last + 1: words[last]]
  },
  CodeFault(
    testDescription: "exit: guard tests APK only", place: "__guest_exit", question: .bits,
    rule: "host-key-leak"
  ) { words in
    // AND Xd, Xn, #1 << 40.
    [words.guardBranch - 1: words[words.guardBranch - 1] & 0xffc0_03ff | 0x0058_0000]
  },
  CodeFault(
    testDescription: "exit: guard turned around", place: "__guest_exit", question: .bits,
    rule: "host-key-leak"
  ) { [$0.guardBranch: $0[$0.guardBranch] | 0x0100_0000] },
  CodeFault(
    testDescription: "exit: x30 is loaded before the host's keys", place: "__guest_exit",
    question: .order, rule: "missed-host-restore"
  ) { words in
    // STR of the guest's SP_EL0 becomes LDP x29, x30, [x1, #128].
    let stack = words.firstIndex { $0 & 0xffff_ffe0 == 0xd538_4100 } ?? 0
    return [stack + 1: 0xa940_0000 | 16 << 15 | 30 << 10 | 1 << 5 | 29]
  },
  CodeFault(
    testDescription: "exit: the guest's x21 and x22 are not saved", place: "__guest_exit",
    question: .registers, rule: "missed-guest-save"
  ) { words in
    let store = words.firstIndex { isSTP($0) && $0 & 0x7c1f == 22 << 10 | 21 }
    return [store ?? 0: nop]
  },
]
