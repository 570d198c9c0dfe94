/// Records by a number of the kernel's (a thread id, a pCPU), of which the same few come again and again.
///
/// Those that were asked for or set last lie in a small table in front of the dictionary of all: numbers in a file are
/// anybody's, and a table without a seed could be made slow by them.
struct RecordTable<Record: AnyObject> {
  private struct Place {
    var id: Int32 = 0
    var record: Record?
  }

  private(set) var all: [Int32: Record] = [:]
  private var recent = Array(repeating: Place(), count: 128)

  private static func place(_ id: Int32) -> Int { Int(truncatingIfNeeded: id & 127) }

  /// The record of `id`, which is found at once from now on.
  @inline(__always)
  mutating func select(_ id: Int32) -> Record? {
    let place = Self.place(id)
    if recent[place].id == id, let record = recent[place].record { return record }
    return bring(id)
  }

  @inline(never)
  private mutating func bring(_ id: Int32) -> Record? {
    guard let record = all[id] else { return nil }
    recent[Self.place(id)] = Place(id: id, record: record)
    return record
  }

  subscript(_ id: Int32) -> Record? {
    get {
      let place = Self.place(id)
      if recent[place].id == id, let record = recent[place].record { return record }
      return all[id]
    }
    set {
      all[id] = newValue
      recent[Self.place(id)] = Place(id: id, record: newValue)
    }
  }

  var keys: Dictionary<Int32, Record>.Keys { all.keys }
  var values: Dictionary<Int32, Record>.Values { all.values }
}
