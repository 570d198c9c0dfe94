/// Which straight runs of instructions of a function can come before which.
///
/// A walk from the function's entry may not come to a place that concerns it: a static key that the file does not
/// say, a bound. From the blocks in front of the place it does, wherever the compiler laid them out.
struct BlockOrder {
  private let function: KernelFunctionSymbol
  /// First instructions of blocks, ascending.
  private var leaders: [UInt64] = []
  /// By leader: the leaders of blocks that go on there.
  private var predecessors: [UInt64: [UInt64]] = [:]

  init(_ function: KernelFunctionSymbol, in subject: AuditSubject) {
    self.function = function
    let words = subject.image.words(of: function) ?? []
    let end = function.address + UInt64(words.count) * 4
    var starts: Set<UInt64> = [function.address]
    var edges: [(from: UInt64, to: UInt64)] = []
    for (index, word) in words.enumerated() {
      let place = function.address + UInt64(index) * 4
      let next = place + 4
      var targets: [UInt64] = []
      var goesOn = true
      switch A64Instruction(word, at: place) {
      case .branch(let target): (targets, goesOn) = ([target], false)
      case .branchIf(_, let target), .compareBranch(_, let target, _, _),
        .testBranch(_, _, let target, _):
        targets = [target]
      case .return, .authenticates(.returns), .indirectBranch, .exceptionReturn, .trap:
        goesOn = false
      case .call, .indirectCall: break
      default:
        guard subject.walk.statics.targets[place] != nil else { continue }
      }
      // What is patched at boot may do either.
      if subject.walk.statics.targets[place] != nil
        || subject.walk.alternatives.entries[place] != nil
      {
        goesOn = true
        targets += subject.walk.statics.targets[place].map { [$0] } ?? []
      }
      for target in targets where target >= function.address && target < end {
        starts.insert(target)
        edges.append((place, target))
      }
      if next < end {
        starts.insert(next)
        if goesOn { edges.append((place, next)) }
      }
    }
    leaders = starts.sorted()
    for edge in edges {
      guard let block = leader(of: edge.from) else { continue }
      predecessors[edge.to, default: []].append(block)
    }
    // A block that another begins in runs into it.
    for (block, next) in zip(leaders, leaders.dropFirst()) {
      guard let word = subject.image.code(at: next - 4, count: 1)?.first else { continue }
      switch A64Instruction(word, at: next - 4) {
      case .branch, .branchIf, .compareBranch, .testBranch, .return, .authenticates(.returns),
        .indirectBranch, .exceptionReturn, .trap, .call, .indirectCall:
        continue
      default: predecessors[next, default: []].append(block)
      }
    }
  }

  private func leader(of place: UInt64) -> UInt64? {
    var (low, high) = (0, leaders.count)
    while low < high {
      let middle = low + (high - low) / 2
      if leaders[middle] <= place { low = middle + 1 } else { high = middle }
    }
    return low > 0 ? leaders[low - 1] : nil
  }

  /// The block of a place, then those in front of it, the nearest first.
  func blocks(before place: UInt64, atMost count: Int) -> [UInt64] {
    guard let own = leader(of: place) else { return [] }
    var found = [own]
    var next = 0
    while next < found.count, found.count < count {
      for block in predecessors[found[next]] ?? [] where !found.contains(block) {
        found.append(block)
      }
      next += 1
    }
    return Array(found.prefix(count))
  }

  /// Every way to a place comes by the block, as far as ways are known: an indirect branch leads anywhere.
  func isPassed(_ block: UInt64, to place: UInt64) -> Bool {
    guard let own = leader(of: place), block != own else { return leader(of: place) == block }
    let around = ancestors(of: own, without: block)
    let unknown = around.contains { $0 == function.address || predecessors[$0] == nil }
    return !unknown && around.isDisjoint(with: ancestors(of: block, without: nil))
  }

  /// The block, and those from which a way leads to it that does not come by another.
  private func ancestors(of block: UInt64, without other: UInt64?) -> Set<UInt64> {
    var found: Set<UInt64> = [block]
    var work = [block]
    while let next = work.popLast() {
      for before in predecessors[next] ?? []
      where before != other && found.insert(before).inserted {
        work.append(before)
      }
    }
    return found
  }
}
