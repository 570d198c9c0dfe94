/// Events of a stream that wait a moment for older ones.
///
/// trace_pipe merges the buffers of all pCPUs as it is read. An event that is being written is not seen
/// yet, so it can be printed after younger ones of other pCPUs, by as much as its writer was
/// interrupted: microseconds, or while the writer's own vCPU was preempted, milliseconds. So an event waits
/// until younger ones by ``span`` have come; or, since a stream can fall silent, until nothing older came for
/// as long.
package struct ReorderWindow {
  /// Nanoseconds of the recording's clock.
  static let span: UInt64 = 100_000_000
  /// Milliseconds of the reader's clock.
  package static let delay: UInt64 = 150
  /// Events that wait at most: several times what comes in ``span`` on a busy machine.
  package static let limit = 1 << 14

  /// A binary heap; of the same time, in the order they came.
  private var heap: [Key] = []
  private var events: [Event?] = []
  private var free: [Int] = []
  private var sequence: UInt64 = 0
  private(set) var newest: UInt64 = 0

  package init() {}

  private struct Key {
    var time: UInt64
    var sequence: UInt64
    var slot: Int

    static func < (a: Key, b: Key) -> Bool {
      (a.time, a.sequence) < (b.time, b.sequence)
    }
  }

  package mutating func add(_ event: Event) {
    newest = max(newest, event.time)
    sequence += 1
    let slot: Int
    if let last = free.popLast() {
      slot = last
      events[slot] = event
    } else {
      slot = events.count
      events.append(event)
    }
    heap.append(Key(time: event.time, sequence: sequence, slot: slot))
    var child = heap.count - 1
    while child > 0, heap[child] < heap[(child - 1) / 2] {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  /// The oldest event if its turn has come: it is not younger than `time`, or too many wait.
  package mutating func next(upTo time: UInt64) -> Event? {
    guard let first = heap.first, first.time <= time || heap.count > Self.limit else { return nil }
    let last = heap.removeLast()
    if !heap.isEmpty {
      heap[0] = last
      sink()
    }
    free.append(first.slot)
    defer { events[first.slot] = nil }
    return events[first.slot]
  }

  private mutating func sink() {
    var parent = 0
    while true {
      var child = parent * 2 + 1
      guard child < heap.count else { return }
      if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
      guard heap[child] < heap[parent] else { return }
      heap.swapAt(child, parent)
      parent = child
    }
  }
}
