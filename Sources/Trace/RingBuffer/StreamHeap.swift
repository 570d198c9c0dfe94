/// The streams that have an event, the one with the oldest event first: a binary heap. Of the same
/// time, the stream with the lower number is first.
package struct StreamHeap {
  private var entries: [(time: UInt64, stream: Int)] = []

  package init() {}

  package var first: (time: UInt64, stream: Int)? { entries.first }

  package mutating func add(_ stream: Int, time: UInt64) {
    entries.append((time, stream))
    var child = entries.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard entries[child] < entries[parent] else { break }
      entries.swapAt(child, parent)
      child = parent
    }
  }

  /// The first stream has gone on to another event.
  @inline(__always)
  package mutating func replaceFirst(time: UInt64) {
    guard !entries.isEmpty else { return }
    entries[0].time = time
    sink()
  }

  /// The first stream has no event any more.
  package mutating func removeFirst() {
    guard let last = entries.popLast(), !entries.isEmpty else { return }
    entries[0] = last
    sink()
  }

  private mutating func sink() {
    var parent = 0
    while true {
      let left = parent * 2 + 1
      guard left < entries.count else { return }
      let right = left + 1
      let child = right < entries.count && entries[right] < entries[left] ? right : left
      guard entries[child] < entries[parent] else { return }
      entries.swapAt(child, parent)
      parent = child
    }
  }
}
