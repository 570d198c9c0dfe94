import KernelImage
import Trace

/// What a CPU's trace would have held of a run that QEMU logged, block by block: the branches that were taken.
/// What lies between two passes is not in the log; there, branches that the kernel's code has are put in.
struct SwitchTrace {
  struct Step {
    var cpu: Int32
    var branch: TakenBranch
    var isGuest = false
    var tid: Int32 { 1000 + cpu }
  }

  /// In an order that all CPUs could have had; of one CPU in its own.
  private(set) var steps: [Step] = []
  /// Passes with a key switch, by the blocks behind either guard; calls, and entries.
  private(set) var switchedIn: UInt64 = 0
  private(set) var switchedOut: UInt64 = 0
  private(set) var calls: UInt64 = 0
  private(set) var entries: UInt64 = 0

  static let folder = Corpus.root + "/traces/deb-6.1-instructions"
  static let vmlinux = Corpus.traces[0].vmlinux

  // Of its vmlinux: llvm-objdump -d.
  private static let enter: UInt64 = 0xffff_8000_0808_7498
  private static let exit: UInt64 = 0xffff_8000_0808_7624
  private static let eret: UInt64 = 0xffff_8000_0808_75c8
  private static let bailOut: UInt64 = 0xffff_8000_0808_74e8
  /// A NOP in the file; with RAS, RET.
  private static let exitReturn: UInt64 = 0xffff_8000_0808_7798
  /// B in the file, over the key switch; NOP on a CPU with pointer authentication.
  private static let patched: Set<UInt64> = [0xffff_8000_0808_7530, 0xffff_8000_0808_7688]
  private static let call: UInt64 = 0xffff_8000_0808_4bd4
  private static let vector: UInt64 = 0xffff_8000_0808_8c00
  /// From the vector of a guest's exception to __guest_exit.
  private static let toExit: [(UInt64, UInt64)] = [
    (0xffff_8000_0808_8c08, 0xffff_8000_0808_8000), (0xffff_8000_0808_8010, 0xffff_8000_0808_8044),
    (0xffff_8000_0808_8060, 0xffff_8000_0808_7624),
  ]
  /// A guest's address, which is one of __guest_enter too.
  private static let guest: UInt64 = 0xffff_8000_0808_7500

  enum Guest {
    /// Its branches are in the trace.
    case traced
    /// Tracing ends with the entry and begins with the exit.
    case excluded
    /// The branch that enters it leads to the vector, as instructions show it.
    case unseen
  }

  /// - Parameters:
  ///   - limit: blocks of the log that are used.
  ///   - slide: how far the kernel was moved.
  init(_ image: KernelImage, guest: Guest, limit: Int = .max, slide: UInt64 = 0) throws {
    var blocks: [QEMULog.Block] = []
    try QEMULog(path: Self.folder + "/exec.log.zst").readBlocks { block in
      if blocks.count < limit { blocks.append(block) }
    }
    let way = Self.way(image)
    var begun: Set<Int> = []
    for block in blocks {
      let cpu = Int32(block.cpu)
      func add(_ from: UInt64, _ to: UInt64, isGuest: Bool = false) {
        steps.append(
          Step(
            cpu: cpu,
            branch: TakenBranch(
              from: from == 0 ? 0 : from &+ slide, to: to == 0 ? 0 : to &+ slide), isGuest: isGuest)
        )
      }
      if block.address == Self.enter {
        // The first of a CPU: tracing begins before it.
        if begun.insert(block.cpu).inserted { add(0, Self.call - 4) }
        add(Self.call, Self.enter)
        calls += 1
      }
      guard begun.contains(block.cpu) else { continue }
      if block.address == Self.enter + 0xa8 { switchedIn += 1 }
      if block.address == Self.exit + 0x74 { switchedOut += 1 }
      switch try Self.end(of: block, image) {
      case .fallsThrough: break
      case .branch(let from, let to): add(from, to)
      case .returns(let from):
        // Back to the caller, and round to the next call.
        add(from, Self.call + 4)
        for (from, to) in way { add(from, to) }
      case .enters:
        entries += 1
        switch guest {
        case .traced:
          add(Self.eret, Self.guest)
          add(Self.guest + 0x40, Self.guest - 0x10, isGuest: true)
          add(Self.guest, Self.vector, isGuest: true)
        case .excluded:
          add(Self.eret, 0)
          add(0, Self.vector)
        case .unseen: add(Self.eret, Self.vector)
        }
        for (from, to) in Self.toExit { add(from, to) }
      }
    }
  }

  private enum End {
    case fallsThrough
    case branch(UInt64, UInt64)
    case returns(UInt64)
    case enters
  }

  struct Unexplained: Error { var address: UInt64 }

  private static func end(of block: QEMULog.Block, _ image: KernelImage) throws -> End {
    var address = block.address
    while let word = image.code(at: address, count: 1)?.first, address < exit + 0x200 {
      if address == eret { return .enters }
      if address == bailOut || address == exitReturn { return .returns(address) }
      let target = target(word, address)
      if let target, target == block.next, !patched.contains(address) {
        return .branch(address, target)
      }
      address += 4
      if address == block.next { return .fallsThrough }
      // The log's end.
      if block.next == nil, target != nil { return .fallsThrough }
    }
    throw Unexplained(address: block.address)
  }

  /// Where a direct branch leads, decoded here once more.
  private static func target(_ word: UInt32, _ address: UInt64) -> UInt64? {
    func signed(_ value: UInt32, _ bits: UInt32) -> Int64 {
      let value = Int64(value & (1 << bits - 1))
      return value >= 1 << Int64(bits - 1) ? value - 1 << Int64(bits) : value
    }
    let distance: Int64
    switch word >> 24 {
    case 0x14...0x17, 0x94...0x97: distance = signed(word, 26)
    case 0x54, 0x34, 0x35, 0xb4, 0xb5: distance = signed(word >> 5, 19)
    case 0x36, 0x37, 0xb6, 0xb7: distance = signed(word >> 5, 14)
    default: return nil
    }
    return UInt64(bitPattern: Int64(bitPattern: address) + distance * 4)
  }

  /// From behind the call back to before it: the branches of the code, each that must be taken, up to the first
  /// whose target is free.
  private static func way(_ image: KernelImage) -> [(UInt64, UInt64)] {
    var list: [(UInt64, UInt64)] = []
    var address = call + 4
    for _ in 0..<10_000 {
      guard let word = image.code(at: address, count: 1)?.first else { return [] }
      if word & 0xfe00_0000 == 0xd600_0000 {
        list.append((address, call - 4))
        return list
      }
      if word & 0x7c00_0000 == 0x1400_0000, let target = target(word, address) {
        list.append((address, target))
        address = target
      } else {
        address += 4
      }
    }
    return []
  }

  /// Every instruction that ran, in order, by CPU; whose entry to the guest is `unseen`.
  var instructions: [(cpu: Int32, address: UInt64)] {
    var list: [(cpu: Int32, address: UInt64)] = []
    var position: [Int32: UInt64] = [:]
    for step in steps {
      if let start = position[step.cpu] {
        for address in stride(from: start, through: step.branch.from, by: 4) {
          list.append((step.cpu, address))
        }
      }
      position[step.cpu] = step.branch.to
    }
    return list
  }
}
