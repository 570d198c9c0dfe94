/// Puts events that are known late in their place, as long as they are not later than `limit` others: a
/// run is said when it was decided, a load when its put came. Whatever comes later than that is
/// written where it comes; readers of the format sort.
struct EventOrder {
  static let limit = 1 << 16

  private struct Item {
    var time: UInt64
    /// Longer first: a slice before what it contains.
    var duration: UInt64
    var number: UInt64
    var line: [UInt8]

    func comesBefore(_ other: Item) -> Bool {
      if time != other.time { return time < other.time }
      if duration != other.duration { return duration > other.duration }
      return number < other.number
    }
  }

  /// A binary heap: every item comes before its two children, 2i+1 and 2i+2.
  private var heap: [Item] = []
  private var count: UInt64 = 0

  var isOverfull: Bool { heap.count > Self.limit }

  mutating func add(_ time: UInt64, _ duration: UInt64, _ line: [UInt8]) {
    heap.append(Item(time: time, duration: duration, number: count, line: line))
    count += 1
    var i = heap.count - 1
    while i > 0, heap[i].comesBefore(heap[(i - 1) / 2]) {
      heap.swapAt(i, (i - 1) / 2)
      i = (i - 1) / 2
    }
  }

  /// Removes and returns the first.
  mutating func take() -> [UInt8]? {
    guard let first = heap.first, let last = heap.popLast() else { return nil }
    guard !heap.isEmpty else { return first.line }
    heap[0] = last
    var i = 0
    while true {
      let left = 2 * i + 1
      let right = left + 1
      var least = i
      if left < heap.count, heap[left].comesBefore(heap[least]) { least = left }
      if right < heap.count, heap[right].comesBefore(heap[least]) { least = right }
      guard least != i else { return first.line }
      heap.swapAt(i, least)
      i = least
    }
  }
}
