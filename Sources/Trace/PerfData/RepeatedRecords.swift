import Bytes

/// Samples that perf wrote twice. It reads the head of a buffer, then once more, and goes on from the older one
/// (perf_mmap__push and perf_mmap__read_init, tools/lib/perf/mmap.c), so that what came between is in the next round too:
///
///     buffer of a pCPU    A B C D E F
///     round N             ├───────┤        read up to here,
///     round N+1                 ├─────┤    gone on from here: D twice
struct RepeatedRecords {
  /// Then a pCPU may have had the same event twice at one time.
  let hasCoarseClock: Bool
  /// The last records of the last rounds.
  private var ends: [PendingRecord] = []

  private static let remembered = 4
  /// Records of one time, of all pCPUs.
  private static let mostCompared = 64

  init(hasCoarseClock: Bool) { self.hasCoarseClock = hasCoarseClock }

  /// - Parameter last: of the round's records; nil: it had none.
  mutating func finishRound(_ last: PendingRecord?) {
    guard let last else { return }
    if ends.count == Self.remembered { ends.removeFirst() }
    ends.append(last)
  }

  /// `bytes`, those of record `index` in order of time, came in an earlier round as well.
  func has(
    _ index: Int, of records: [PendingRecord], _ bytes: RawSpan, _ file: RawSpan,
    _ chunks: borrowing RecordChunks
  ) -> Bool {
    let record = records[index]
    guard record.source < PendingRecord.function, !hasCoarseClock else { return false }
    for place in stride(from: index - 1, through: max(0, index - Self.mostCompared), by: -1) {
      let other = records[place]
      guard other.time == record.time else { return false }
      guard other.source == record.source, hasEnd(between: other, record) else { continue }
      let all = other.chunk == 0 ? file : chunks.chunk(other.chunk)
      let offset = Int(truncatingIfNeeded: other.offset)
      if let same = all.slice(at: offset, count: bytes.byteCount), same.isSame(as: bytes) {
        return true
      }
    }
    return false
  }

  private func hasEnd(between earlier: PendingRecord, _ later: PendingRecord) -> Bool {
    ends.contains { !$0.isBefore(earlier) && $0.isBefore(later) }
  }
}

extension PendingRecord {
  /// In the file.
  fileprivate func isBefore(_ other: PendingRecord) -> Bool {
    (chunk, offset) < (other.chunk, other.offset)
  }
}
