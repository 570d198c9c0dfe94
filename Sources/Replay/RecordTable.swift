/// Records by a number of the kernel's (a thread id, a pCPU), of which the same few come again and again.
///
/// The one that an event is about is looked up once, by ``select(_:)``; asking for it again is a comparison. Behind that
/// lies a small table of those that were selected or set last, and behind it the dictionary of all: numbers in a file
/// are anybody's, and a table without a seed could be made slow by them.
struct RecordTable<Record: AnyObject> {
  private struct Place {
    var id: Int32 = 0
    var record: Record?
  }

  private(set) var all: [Int32: Record] = [:]
  private var current = Place()
  private var recent = Array(repeating: Place(), count: 128)

  private static func place(_ id: Int32) -> Int { Int(truncatingIfNeeded: id & 127) }

  /// Makes the record of `id` the one that is found at once, and returns it.
  mutating func select(_ id: Int32) -> Record? {
    if id == current.id, let record = current.record { return record }
    let place = Self.place(id)
    if recent[place].id != id || recent[place].record == nil {
      recent[place] = Place(id: id, record: all[id])
    }
    current = recent[place]
    return current.record
  }

  subscript(_ id: Int32) -> Record? {
    get {
      if id == current.id, let record = current.record { return record }
      let place = recent[Self.place(id)]
      if id == place.id, let record = place.record { return record }
      return all[id]
    }
    set {
      all[id] = newValue
      current = Place(id: id, record: newValue)
      recent[Self.place(id)] = current
    }
  }

  var keys: Dictionary<Int32, Record>.Keys { all.keys }
  var values: Dictionary<Int32, Record>.Values { all.values }
}
