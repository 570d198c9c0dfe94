import KernelImage
import Trace

/// The code of the key switch where it ran: instructions by index, and what can follow what.
struct SwitchSite {
  let code: GuestSwitchCode
  /// Run-time minus link-time address, wrapping.
  let slide: UInt64
  var flow: ControlFlow
  /// Key writes of `__guest_enter`; key reads and writes of `__guest_exit`; ascending.
  let enterWrites: [Int]
  let exitReads: [Int]
  let exitWrites: [Int]

  init(_ code: GuestSwitchCode, slide: UInt64, _ flow: ControlFlow) {
    self.code = code
    self.slide = slide
    self.flow = flow
    let writes = code.words.indices.filter { code.isKeyWrite($0) }
    enterWrites = writes.filter { $0 < code.exitIndex }
    exitWrites = writes.filter { $0 >= code.exitIndex }
    exitReads = code.words.indices.filter { $0 >= code.exitIndex && code.isKeyRead($0) }
  }

  /// Of a run-time address; nil outside of the code.
  func index(_ address: UInt64) -> Int? {
    let offset = (address &- slide) &- code.address
    guard offset < UInt64(code.words.count) * 4, offset % 4 == 0 else { return nil }
    return Int(offset / 4)
  }

  func address(_ index: Int) -> UInt64 { code.address &+ slide &+ UInt64(index) * 4 }

  /// The instructions of the code between two run-time addresses, both included.
  func indices(_ first: UInt64, through last: UInt64) -> Range<Int> {
    let start = address(0)
    let end = address(code.words.count)
    guard first <= last, first < end, last >= start else { return 0..<0 }
    let from = Int((max(first, start) - start + 3) / 4)
    return from..<max(from, Int((min(last, end - 4) - start) / 4) + 1)
  }

  mutating func isLine(_ first: UInt64, through last: UInt64) -> Bool {
    flow.isLine(first &- slide, through: last &- slide)
  }

  mutating func isBranch(_ from: UInt64, to: UInt64) -> Bool {
    flow.isBranch(from &- slide, to: to &- slide)
  }
}

/// One pCPU's trace of taken branches (or one thread's, where samples have no pCPU), and the passes in it.
///
///     branch n      ... ─▶ to ├─ mrs ─ and ─ cbz ─ ldp ─ msr ... msr ─ ldp ─ eret ┤ from ─▶   branch n+1
///                             └─ ran, all of it: nothing between was taken ───────┘
///
/// That holds only if no branch is missing: `from` must be reachable from the `to` before it, and each branch be
/// one that the code has. What ran is then known instruction by instruction.
struct PassLane {
  /// Where the pCPU went on.
  private enum Position {
    case unknown
    case at(UInt64)
    /// In user space or in a guest, which are not traced.
    case below
  }

  private enum Part {
    case none
    case enter
    /// nil: the entry is not in the trace.
    case guest(switched: Bool?)
    case exit(switched: Bool?)
  }

  /// What led to ``Position/at(_:)``: a guest's branch, the kernel's return to a lower level, or another of its
  /// branches, which does not leave it.
  private enum Origin { case unknown, guest, lowering, kernel }

  private var position = Position.unknown
  private var origin = Origin.unknown
  private var hasBegun = false
  private var part = Part.none
  private var reads = 0
  private var writes = 0
  /// By thread.
  private(set) var passes: [Int32: PassCounts] = [:]
  /// Where the trace itself says that it is interrupted.
  private(set) var gaps: UInt64 = 0
  /// What cannot be unless branches are missing that nothing speaks of.
  private(set) var breaks: UInt64 = 0
  /// Passes that switched keys at one end only.
  private(set) var oneSided: UInt64 = 0
  /// Of a trace of instructions: the last, and whose.
  private var last: (address: UInt64, isGuest: Bool)?

  mutating func gap() {
    if hasBegun { gaps += 1 }
    position = .unknown
    part = .none
    last = nil
  }

  private mutating func noteBreak() {
    breaks += 1
    part = .none
  }

  /// An instruction ran; each has its sample.
  mutating func take(_ address: UInt64, isGuest: Bool, _ tid: Int32, _ site: inout SwitchSite) {
    defer { last = (address, isGuest) }
    guard let last else {
      hasBegun = true
      position = .at(address)
      return
    }
    if address == last.address &+ 4, isGuest == last.isGuest { return }
    take(TakenBranch(from: last.address, to: address), isGuest: last.isGuest, tid, &site)
  }

  /// The end of the trace.
  mutating func finish(_ tid: Int32, _ site: inout SwitchSite) {
    if let last, !last.isGuest, case .at(let start) = position {
      run(start, through: last.address, tid, &site)
    }
  }

  /// - Parameter isGuest: the branch is a guest's.
  mutating func take(
    _ branch: TakenBranch, isGuest: Bool, _ tid: Int32, _ site: inout SwitchSite
  ) {
    defer { hasBegun = true }
    guard branch.from != 0 else {
      // Tracing begins; it must have ended.
      switch position {
      case .at: noteBreak()
      case .below where site.flow.isVector(branch.to &- site.slide): break
      case .below: gap()
      case .unknown: part = .none
      }
      position = branch.to == 0 ? .unknown : .at(branch.to)
      origin = .unknown
      return
    }
    defer {
      origin =
        isGuest
        ? .guest : site.flow.isExceptionReturn(branch.from &- site.slide) ? .lowering : .kernel
    }
    switch position {
    case .at(let start):
      if isGuest {
        if origin == .kernel || !Self.isNear(start, branch.from) { noteBreak() }
      } else if origin == .guest, !site.flow.isVector(start &- site.slide) {
        noteBreak()
      } else {
        run(start, through: branch.from, tid, &site)
      }
    case .unknown:
      if !isGuest { run(branch.from, through: branch.from, tid, &site) }
    case .below: if !isGuest { noteBreak() }
    }
    if !isGuest {
      if branch.to != 0, !site.isBranch(branch.from, to: branch.to) { noteBreak() }
      // A guest's addresses may be the host's too.
      if let index = site.index(branch.from),
        site.index(branch.to) == nil || site.code.isExceptionReturn(index)
      {
        leave(index, tid, site)
      }
    }
    guard branch.to == 0 else {
      position = .at(branch.to)
      return
    }
    // Tracing ends: as it does where only the kernel is traced, or else a part is missing.
    if isGuest || site.flow.isExceptionReturn(branch.from &- site.slide) {
      position = .below
    } else {
      gap()
    }
  }

  /// A guest's code is not known.
  private static func isNear(_ first: UInt64, _ last: UInt64) -> Bool {
    last >= first && last - first < 1 << 20
  }

  private mutating func run(
    _ first: UInt64, through last: UInt64, _ tid: Int32, _ site: inout SwitchSite
  ) {
    guard site.isLine(first, through: last) else { return noteBreak() }
    for index in site.indices(first, through: last) { step(index, tid, site) }
  }

  private mutating func step(_ index: Int, _ tid: Int32, _ site: SwitchSite) {
    if index == 0 {
      passes[tid, default: PassCounts()].calls += 1
      part = .enter
      writes = 0
    } else if index == site.code.exitIndex {
      passes[tid, default: PassCounts()].exits += 1
      if case .guest(let switched) = part {
        part = .exit(switched: switched)
      } else {
        part = .exit(switched: nil)
      }
      reads = 0
      writes = 0
    }
    if site.code.isKeyWrite(index) {
      passes[tid, default: PassCounts()].writes += 1
      writes += 1
    } else if site.code.isKeyRead(index) {
      passes[tid, default: PassCounts()].reads += 1
      reads += 1
    }
  }

  /// The pCPU leaves the code behind the instruction at `index`.
  private mutating func leave(_ index: Int, _ tid: Int32, _ site: SwitchSite) {
    guard site.code.endsBlock(index) || site.flow.isPatched(site.address(index) &- site.slide)
    else { return }  // An exception: the code goes on behind it.
    switch part {
    case .none, .guest: break
    case .enter:
      guard site.code.isExceptionReturn(index) else {
        passes[tid, default: PassCounts()].bailOuts += 1
        part = .none
        return
      }
      let isWhole = writes >= 10 && writes == site.enterWrites.count
      passes[tid, default: PassCounts()].entries += 1
      if isWhole {
        passes[tid, default: PassCounts()].switchedEntries += 1
      } else if writes > 0 {
        passes[tid, default: PassCounts()].partialSwitches += 1
      }
      part = .guest(switched: isWhole)
    case .exit(let entered):
      let isWhole =
        writes >= 10 && writes == site.exitWrites.count && reads >= 10
        && reads == site.exitReads.count
      if isWhole {
        passes[tid, default: PassCounts()].switchedExits += 1
      } else if writes + reads > 0 {
        passes[tid, default: PassCounts()].partialSwitches += 1
      }
      if let entered, entered != isWhole { oneSided += 1 }
      part = .none
    }
  }
}
