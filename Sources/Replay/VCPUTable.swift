/// All vCPUs, and which of them have changed since the last wall.
struct VCPUTable: RandomAccessCollection {
  private var records: [VCPURecord] = []
  private var reached: [Int] = []

  var startIndex: Int { 0 }
  var endIndex: Int { records.count }

  subscript(_ index: Int) -> VCPURecord {
    // Not `_read`: where the compiler does not look into it, parts of what it yields are read when it has ended, and
    // its frame, which holds a copy of the record, is freed (Swift 6.3.1).
    @inline(__always) get { records[index] }
    _modify {
      if !records[index].isReached { note(index) }
      yield &records[index]
    }
  }

  /// (Through the subscript, all of the record would be copied.)
  func interval(_ index: Int) -> LoadInterval { records[index].interval }

  @inline(never)
  private mutating func note(_ index: Int) {
    records[index].isReached = true
    reached.append(index)
  }

  mutating func append(_ record: VCPURecord) {
    records.append(record)
    note(records.count - 1)
  }

  /// Those that changed since the last call.
  mutating func takeReached() -> [Int] {
    defer { reached.removeAll(keepingCapacity: true) }
    for index in reached { records[index].isReached = false }
    return reached
  }
}
