/// A record that waits for its turn: when it happened, and where its bytes are.
struct PendingRecord: BitwiseCopyable {
  /// Nanoseconds of the recording's clock.
  var time: UInt64
  /// Where the record starts, in bytes, in the file or in an inflated chunk.
  var offset: UInt64
  /// 0: the file. Otherwise an inflated chunk.
  var chunk: UInt32
  /// Index of the sample's source, or ``lost``.
  var source: UInt16
  /// Where the raw bytes start, from the start of the record.
  var raw: UInt16

  /// Sources that are no samples.
  static let lost: UInt16 = .max
  static let fork: UInt16 = .max - 1
  /// Of a text: a line of the function tracer.
  static let function: UInt16 = .max - 2
}

/// Puts records into time order, a round at a time.
///
/// perf writes the buffers of all CPUs one after another, then FINISHED_ROUND. A buffer that was
/// read late in round N can hold nothing older than what another gave up in round N-1, so the end
/// of round N releases all that is not newer than the newest record of rounds 1 ... N-1
/// (tools/perf/util/ordered-events.c, OE_FLUSH__ROUND):
///
///     time ->            limit (newest of round N-1)
///     round N-1  ────────┤
///     round N       ─────┼──────┤ newest of round N: the next limit
///     released  ═════════╡
///     waiting            └──────┤ only records of round N: two rounds bound the memory
///
/// A round is a few ascending runs, one per CPU, so it is sorted by merging its runs. Records of
/// the same time keep the order of the file.
struct RoundSorter {
  /// In order, up to ``releasedCount`` ready to be delivered.
  private(set) var ready: [PendingRecord] = []
  private(set) var releasedCount = 0
  /// Newest time added so far.
  private(set) var newest: UInt64 = 0
  private var incoming: [PendingRecord] = []
  /// The last one of the round under way; nil: it has none.
  var lastAdded: PendingRecord? { incoming.last }
  private var waiting: [PendingRecord] = []
  private var scratch: [PendingRecord] = []
  private var runs: [Int] = []
  private var limit: UInt64 = 0

  @inline(__always)
  mutating func add(_ record: PendingRecord) {
    incoming.append(record)
    if record.time > newest { newest = record.time }
  }

  /// A FINISHED_ROUND: fills ``ready``. To be followed by ``removeReleased()``.
  mutating func finishRound() {
    order()
    releasedCount = limit == .max ? ready.count : count(before: limit + 1)
    limit = newest
  }

  /// Nothing older than `time` will come: what is older is ready.
  mutating func finish(before time: UInt64) {
    order()
    releasedCount = count(before: time)
  }

  /// How many of ``ready`` are older than `time`.
  private func count(before time: UInt64) -> Int {
    guard let last = ready.last, last.time >= time else { return ready.count }
    var low = 0
    var high = ready.count
    while low < high {
      let middle = low + (high - low) / 2
      if ready[middle].time < time { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The end of the data: all that waits is ready.
  mutating func finish() {
    order()
    releasedCount = ready.count
  }

  /// The delivered records go, the others wait on. Returns the oldest chunk that is still needed.
  mutating func removeReleased() -> UInt32 {
    waiting.removeAll(keepingCapacity: true)
    var oldest = UInt32.max
    waiting.append(contentsOf: ready[releasedCount...])
    for record in waiting where record.chunk != 0 && record.chunk < oldest { oldest = record.chunk }
    ready.removeAll(keepingCapacity: true)
    releasedCount = 0
    return oldest
  }

  /// Merges `incoming`, sorted, with `waiting` into `ready`.
  private mutating func order() {
    sortIncoming()
    ready.removeAll(keepingCapacity: true)
    Self.merge(waiting[...], incoming[...], into: &ready)
    incoming.removeAll(keepingCapacity: true)
    waiting.removeAll(keepingCapacity: true)
  }

  /// Merges neighbouring ascending runs until one is left.
  private mutating func sortIncoming() {
    guard incoming.count > 1 else { return }
    runs.removeAll(keepingCapacity: true)
    runs.append(0)
    for index in 1..<incoming.count where incoming[index].time < incoming[index - 1].time {
      runs.append(index)
    }
    while runs.count > 1 {
      scratch.removeAll(keepingCapacity: true)
      var kept = 0
      for first in stride(from: 0, to: runs.count, by: 2) {
        let start = runs[first]
        let middle = first + 1 < runs.count ? runs[first + 1] : incoming.count
        let end = first + 2 < runs.count ? runs[first + 2] : incoming.count
        runs[kept] = start
        kept += 1
        Self.merge(incoming[start..<middle], incoming[middle..<end], into: &scratch)
      }
      runs.removeLast(runs.count - kept)
      swap(&incoming, &scratch)
    }
  }

  /// Appends both, in time order; of the same time, those of `first` come first.
  ///
  /// Each takes its turn for as long as it may: events of one pCPU come in bursts.
  private static func merge(
    _ first: ArraySlice<PendingRecord>, _ second: ArraySlice<PendingRecord>,
    into target: inout [PendingRecord]
  ) {
    var left = first.startIndex
    var right = second.startIndex
    if let last = first.last, let next = second.first, last.time > next.time {
      while left < first.endIndex, right < second.endIndex {
        let start = left
        let next = second[right].time
        while left < first.endIndex, first[left].time <= next { left += 1 }
        target.append(contentsOf: first[start..<left])
        guard left < first.endIndex else { break }
        let begin = right
        let limit = first[left].time
        while right < second.endIndex, second[right].time < limit { right += 1 }
        target.append(contentsOf: second[begin..<right])
      }
    }
    target.append(contentsOf: first[left...])
    target.append(contentsOf: second[right...])
  }
}
