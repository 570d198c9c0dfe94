import KernelImage
import Trace

/// Branch stacks, and the passes in them. A stack holds the last branches before a sample, none missing between
/// its ends; what was before it, and between two stacks, is not known.
///
///     stack 1   a b c d e
///     stack 2         d e f g      new are f and g: what both hold counts once
///
/// Of the overlaps that the entries allow the longest is taken: what is counted was there at least.
struct StackLanes {
  private var byCPU: [Int32: [TakenBranch]] = [:]
  private var byThread: [Int32: [TakenBranch]] = [:]
  private(set) var passes: [Int32: [Int32: PassCounts]] = [:]

  /// - Parameter isEvery: between two neighbours no branch was taken.
  mutating func take(
    _ stack: [TakenBranch], cpu: Int32, tid: Int32, isEvery: Bool, _ site: inout SwitchSite
  ) {
    guard cpu >= 0 || tid >= 0, !stack.isEmpty else { return }
    let known = max(
      Self.overlap(cpu < 0 ? [] : byCPU[cpu] ?? [], stack),
      Self.overlap(tid < 0 ? [] : byThread[tid] ?? [], stack))
    if cpu >= 0 { byCPU[cpu] = stack }
    if tid >= 0 { byThread[tid] = stack }
    var found = PassCounts()
    for index in known..<stack.count {
      let branch = stack[index]
      if site.index(branch.from) == nil {
        if branch.to == site.address(0) { found.calls += 1 }
        if branch.to == site.address(site.code.exitIndex) { found.exits += 1 }
      }
      if let place = site.index(branch.from), place < site.code.exitIndex,
        site.code.isExceptionReturn(place)
      {
        found.entries += 1
      }
      guard isEvery, index > 0 else { continue }
      let ran = site.indices(stack[index - 1].to, through: branch.from)
      guard !ran.isEmpty, site.isLine(stack[index - 1].to, through: branch.from) else { continue }
      count(ran, site, &found)
    }
    guard found != PassCounts() else { return }
    passes[cpu, default: [:]][tid, default: PassCounts()].add(found)
  }

  private func count(_ ran: Range<Int>, _ site: SwitchSite, _ found: inout PassCounts) {
    func holds(_ list: [Int]) -> Bool { list.count >= 10 && list.allSatisfy(ran.contains) }
    if holds(site.enterWrites) { found.switchedEntries += 1 }
    if holds(site.exitWrites), holds(site.exitReads) { found.switchedExits += 1 }
    found.writes += UInt64((site.enterWrites + site.exitWrites).count(where: ran.contains))
    found.reads += UInt64(site.exitReads.count(where: ran.contains))
  }

  /// How many entries that `older` ends with `newer` can begin with.
  static func overlap(_ older: [TakenBranch], _ newer: [TakenBranch]) -> Int {
    var length = min(older.count, newer.count)
    while length > 0, !older.suffix(length).elementsEqual(newer.prefix(length)) { length -= 1 }
    return length
  }
}

/// Samples of single instructions: each that lies on an instruction of the key switch stands for one time that
/// it ran. Neighbours at one address count once: the CPU may not have moved between them.
struct SampledPasses {
  private var last: [Int32: UInt64] = [:]
  private var counts: [Int32: [Int32: [Int: UInt64]]] = [:]

  mutating func take(_ address: UInt64, cpu: Int32, tid: Int32, _ site: SwitchSite) {
    let lane = cpu >= 0 ? cpu : -2 &- max(0, tid)
    if last.updateValue(address, forKey: lane) == address { return }
    guard let index = site.index(address) else { return }
    counts[cpu, default: [:]][tid, default: [:]][index, default: 0] += 1
  }

  func passes(_ site: SwitchSite) -> [Int32: [Int32: PassCounts]] {
    counts.mapValues { threads in
      threads.mapValues { list in
        func most(_ indices: [Int]) -> UInt64 { indices.map { list[$0] ?? 0 }.max() ?? 0 }
        func sum(_ indices: [Int]) -> UInt64 { indices.reduce(0) { $0 + (list[$1] ?? 0) } }
        var passes = PassCounts()
        passes.calls = list[0] ?? 0
        passes.exits = list[site.code.exitIndex] ?? 0
        passes.entries = most(
          site.code.words.indices.filter {
            $0 < site.code.exitIndex && site.code.isExceptionReturn($0)
          })
        passes.switchedEntries = site.enterWrites.count >= 10 ? most(site.enterWrites) : 0
        passes.switchedExits =
          site.exitWrites.count >= 10 && site.exitReads.count >= 10
          ? most(site.exitWrites + site.exitReads) : 0
        passes.entries = max(passes.entries, passes.switchedEntries)
        passes.exits = max(passes.exits, passes.switchedExits)
        passes.calls = max(passes.calls, passes.entries)
        passes.writes = sum(site.enterWrites + site.exitWrites)
        passes.reads = sum(site.exitReads)
        return passes
      }
    }
  }
}
