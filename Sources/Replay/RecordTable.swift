/// What the replay keeps by a number of the kernel's (a thread id, a pCPU).
protocol ReplayRecord: AnyObject {
  /// An event reached it since the last wall.
  var isReached: Bool { get set }
}

/// Records by number, of which the same few come again and again.
///
/// Those that were asked for or set last lie in a small table in front of the dictionary of all: numbers in a file are
/// anybody's, and a table without a seed could be made slow by them.
struct RecordTable<Record: ReplayRecord> {
  private struct Place {
    var id: Int32 = 0
    var record: Record?
  }

  /// A class: looking at a record changes it.
  private final class Reached {
    var ids: [Int32] = []
  }

  private(set) var all: [Int32: Record] = [:]
  private var recent = Array(repeating: Place(), count: 128)
  private let reached = Reached()

  private static func place(_ id: Int32) -> Int { Int(truncatingIfNeeded: id & 127) }

  /// The record of `id`, which is found at once from now on.
  @inline(__always)
  mutating func select(_ id: Int32) -> Record? {
    let place = Self.place(id)
    if recent[place].id == id, let record = recent[place].record {
      reach(id, record)
      return record
    }
    return bring(id)
  }

  @inline(never)
  private mutating func bring(_ id: Int32) -> Record? {
    guard let record = all[id] else { return nil }
    recent[Self.place(id)] = Place(id: id, record: record)
    reach(id, record)
    return record
  }

  subscript(_ id: Int32) -> Record? {
    @inline(__always) get {
      let place = Self.place(id)
      if recent[place].id == id, let record = recent[place].record {
        reach(id, record)
        return record
      }
      return find(id)
    }
    set {
      all[id] = newValue
      recent[Self.place(id)] = Place(id: id, record: newValue)
      if let newValue { reach(id, newValue) }
    }
  }

  @inline(never)
  private func find(_ id: Int32) -> Record? {
    guard let record = all[id] else { return nil }
    reach(id, record)
    return record
  }

  @inline(__always)
  private func reach(_ id: Int32, _ record: Record) {
    if !record.isReached { note(id, record) }
  }

  @inline(never)
  private func note(_ id: Int32, _ record: Record) {
    record.isReached = true
    reached.ids.append(id)
  }

  var reachedIDs: [Int32] { reached.ids }

  /// The records that were set or asked for since the last call: only those can have changed. An id may come twice.
  func takeReached() -> [Int32] {
    defer { reached.ids.removeAll(keepingCapacity: true) }
    for id in reached.ids { all[id]?.isReached = false }
    return reached.ids
  }

  var keys: Dictionary<Int32, Record>.Keys { all.keys }
  var values: Dictionary<Int32, Record>.Values { all.values }
}
