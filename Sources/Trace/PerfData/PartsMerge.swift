import Bytes

/// Reads several files of records as one, in time order.
///
/// Each thread of `perf record --threads` writes a file of its own, without FINISHED_ROUND
/// (tools/perf/builtin-record.c, record__mmap_read_evlist), so how far the others have come cannot be
/// known from one of them. A first walk notes the oldest time in each block of each file; from the end
/// backwards, that gives the oldest time that can still come:
///
///     file A   ├──block──┤──block──┤──block──┤      floor of A: oldest of what is not read
///     file B   ├──block──┤                          floor of B
///
/// The next block is that of the lowest floor, and all that is older than every floor is ready.
struct PartsMerge {
  /// Bytes of a file that are read before the next one gets its turn.
  private static let blockSize = 1 << 18

  private var walks: [RecordWalk]
  private let parts: [Range<Int>]
  /// By part and block: no record of this block, or a later one, is older.
  private var floors: [[UInt64]] = []

  private let wantsInstructions: Bool

  init(_ parts: [Range<Int>], wantsInstructions: Bool = false) {
    self.parts = parts
    self.wantsInstructions = wantsInstructions
    walks = parts.map { RecordWalk($0) }
  }

  /// All records; why walks ended early, by part.
  mutating func run(
    _ file: RawSpan, _ pass: inout ReadPass, _ body: ReadPass.Body
  ) -> [(part: Int, stop: WalkStop)] {
    survey(file, pass.plan)
    var chunks = RecordChunks()
    var next = Array(repeating: 0, count: parts.count)
    while let part = lowest(next) {
      walks[part].advance(to: Self.limit(parts[part], next[part]), file, &chunks, &pass, body)
      next[part] += 1
      pass.release(before: lowest(next).map { floors[$0][next[$0]] } ?? .max, file, chunks, body)
      chunks.release(before: pass.oldestChunk)
    }
    pass.finish(file, chunks, body)
    return walks.enumerated().compactMap { part, walk in walk.stop.map { (part, $0) } }
  }

  /// The part to read from next.
  private func lowest(_ next: [Int]) -> Int? {
    var found: Int?
    for part in parts.indices where next[part] < floors[part].count {
      if let best = found, floors[best][next[best]] <= floors[part][next[part]] { continue }
      found = part
    }
    return found
  }

  private static func limit(_ part: Range<Int>, _ block: Int) -> Int {
    min(part.lowerBound + (block + 1) * blockSize, part.upperBound)
  }

  private mutating func survey(_ file: RawSpan, _ plan: SamplePlan) {
    floors = []
    for part in parts {
      var walk = RecordWalk(part)
      var chunks = RecordChunks()
      var pass = ReadPass(plan, rounds: .survey)
      pass.queuesInstructions = wantsInstructions
      var oldest: [UInt64] = []
      for block in 0..<((part.count + Self.blockSize - 1) / Self.blockSize) {
        walk.advance(to: Self.limit(part, block), file, &chunks, &pass) { _ in }
        oldest.append(pass.takeOldest())
      }
      for block in stride(from: oldest.count - 2, through: 0, by: -1) {
        oldest[block] = min(oldest[block], oldest[block + 1])
      }
      floors.append(oldest)
    }
  }
}
