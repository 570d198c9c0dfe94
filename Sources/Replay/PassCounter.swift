public import KernelImage

/// Passes counted from executed instructions, exactly.
public struct PassCounts: Sendable, Equatable {
  /// __guest_enter was called.
  public var calls: UInt64 = 0
  /// It returned at once, an interrupt being pending.
  public var bailOuts: UInt64 = 0
  /// Entries to the guest, and exits from it.
  public var entries: UInt64 = 0
  public var exits: UInt64 = 0
  /// Entries that loaded the guest's ten registers, and exits that restored the host's.
  public var switchedEntries: UInt64 = 0
  public var switchedExits: UInt64 = 0
  /// Entries and exits that accessed some of the ten registers and not all.
  public var partialSwitches: UInt64 = 0
  /// Reads and writes of key registers.
  public var reads: UInt64 = 0
  public var writes: UInt64 = 0

  public init() {}

  /// Each call ends in an entry or a return, each entry in an exit, and what is switched in is switched
  /// out; those at both ends of the log aside.
  func isConsistent(cpus: Int) -> Bool {
    func differ(_ a: UInt64, _ b: UInt64) -> Bool { (a > b ? a - b : b - a) > UInt64(cpus) }
    return !differ(calls, bailOuts + entries) && !differ(entries, exits)
      && !differ(switchedEntries, switchedExits)
  }
}

/// Counts passes from blocks of executed instructions.
///
/// A block is known by where it begins. It goes on to the first branch, or to where the CPU's next block
/// begins if that lies on the way:
///
///     block       ├─ mrs ─ and ─ cbz ┤        ends with its branch
///     next block                     ├─ add ─ ldp ─ msr ┤├─ msr ...   cut by the emulator
///
/// The next block must be where the branch leads: elsewhere, and blocks are missing in between.
public struct PassCounter {
  private let code: GuestSwitchCode
  private let slide: UInt64
  /// How often each instruction ran, by CPU.
  private var counts: [Int: [UInt64]] = [:]
  /// The block whose end decides where the next one in the code begins, by CPU.
  private var last: [Int: Int] = [:]
  /// Where that can be, by block; nil: anywhere.
  private var successors: [Int: Set<Int>?] = [:]
  /// Blocks that began in the code.
  public private(set) var blocks: UInt64 = 0
  /// Blocks that the one before them does not lead to.
  public private(set) var unexplained: UInt64 = 0

  /// - Parameter slide: run-time minus link-time address, wrapping.
  public init(_ code: GuestSwitchCode, slide: UInt64) {
    self.code = code
    self.slide = slide
  }

  public mutating func take(cpu: Int, address: UInt64, next: UInt64?) {
    guard let start = place(address) else { return }
    blocks += 1
    if let before = last[cpu] {
      let known = successors[before] ?? code.successors(of: before)
      successors[before] = .some(known)
      if let known, !known.contains(start) { unexplained += 1 }
    }
    let stop = next.flatMap { place($0) }.flatMap { $0 > start ? $0 : nil } ?? code.words.count
    var index = start
    var list = counts.removeValue(forKey: cpu) ?? [UInt64](repeating: 0, count: code.words.count)
    while index < stop {
      list[index] += 1
      if code.endsBlock(index) { break }
      index += 1
    }
    counts[cpu] = list
    // Cut: the next block is where it has to be.
    last[cpu] = index < stop ? start : nil
  }

  private func place(_ address: UInt64) -> Int? {
    let offset = (address &- slide) &- code.address
    guard offset < UInt64(code.words.count) * 4, offset % 4 == 0 else { return nil }
    return Int(offset / 4)
  }

  /// By CPU, ascending.
  public var passesByCPU: [(cpu: Int, passes: PassCounts)] {
    counts.sorted { $0.key < $1.key }.map { ($0.key, passes($0.value)) }
  }

  /// All CPUs together.
  public var passes: PassCounts {
    let all = counts.values.reduce([UInt64](repeating: 0, count: code.words.count)) { sum, list in
      zip(sum, list).map { $0 + $1 }
    }
    return passes(all)
  }

  /// Nothing is missing between the ends of the log: otherwise the counts are a sample.
  public var isComplete: Bool { unexplained == 0 && passes.isConsistent(cpus: counts.count) }

  private func passes(_ list: [UInt64]) -> PassCounts {
    var passes = PassCounts()
    passes.calls = list[0]
    passes.exits = list[code.exitIndex]
    var enter: [UInt64] = []
    var save: [UInt64] = []
    var restore: [UInt64] = []
    for index in list.indices {
      let isEnter = index < code.exitIndex
      if code.isKeyWrite(index) {
        passes.writes += list[index]
        if isEnter { enter.append(list[index]) } else { restore.append(list[index]) }
      } else if code.isKeyRead(index) {
        passes.reads += list[index]
        if !isEnter { save.append(list[index]) }
      } else if isEnter, code.isReturn(index) {
        passes.bailOuts += list[index]
      } else if isEnter, code.isExceptionReturn(index) {
        passes.entries += list[index]
      }
    }
    passes.switchedEntries = enter.count >= 10 ? enter.min() ?? 0 : 0
    passes.switchedExits = restore.count >= 10 ? min(restore.min() ?? 0, save.min() ?? 0) : 0
    passes.partialSwitches =
      (enter.max() ?? 0) - passes.switchedEntries
      + max(restore.max() ?? 0, save.max() ?? 0) - passes.switchedExits
    return passes
  }
}
