import Bytes

/// Turns records of the other byte order, in place, so that a pass can read them. Only those that
/// wait for their turn are turned; what is read at once is read as it is. The raw bytes of a
/// tracepoint stay as they are: its fields know their byte order.
struct RecordSwap {
  private let plan: SamplePlan

  init(_ plan: SamplePlan) { self.plan = plan }

  static func turns(_ type: UInt32) -> Bool {
    type == RecordKind.sample || type == RecordKind.lost || type == RecordKind.fork
      || type == RecordKind.lostSamples
  }

  /// Turns the whole record of `size` bytes at `offset` of the lane's newest chunk.
  func turn(
    _ chunks: inout RecordChunks, _ lane: Int, at offset: Int, type: UInt32, size: Int
  ) {
    guard Self.turns(type), let layout = layout(chunks, lane, offset, type, size) else { return }
    chunks.reverseBytes(lane, at: offset, width: 4)
    chunks.reverseBytes(lane, at: offset + 4, width: 2, count: 2)
    switch type {
    case RecordKind.sample: turnSample(&chunks, lane, offset, size, layout)
    case RecordKind.fork:
      chunks.reverseBytes(lane, at: offset + 8, width: 4, count: 4)
      chunks.reverseBytes(lane, at: offset + 24, width: 8)
      turnSampleID(&chunks, lane, offset + 32, offset + size, layout)
    case RecordKind.lost:
      chunks.reverseBytes(lane, at: offset + 8, width: 8, count: 2)
      turnSampleID(&chunks, lane, offset + 24, offset + size, layout)
    default:
      chunks.reverseBytes(lane, at: offset + 8, width: 8)
      turnSampleID(&chunks, lane, offset + 16, offset + size, layout)
    }
  }

  /// The layout of the record's source. Of an unknown source any will do: nothing of it is used.
  private func layout(
    _ chunks: borrowing RecordChunks, _ lane: Int, _ offset: Int, _ type: UInt32, _ size: Int
  ) -> SampleLayout? {
    guard let record = chunks.newest(lane).slice(at: offset, count: size) else { return nil }
    var place: Int?
    if type == RecordKind.sample {
      if case .id(let offset) = plan.identity { place = offset }
    } else if plan.trailingID > 0 {
      place = size - plan.trailingID
    }
    if let place, let id = record.u64(at: place, swapped: true) {
      let number = plan.index.source(of: id)
      if number != SourceIndex.none { return plan.sources[Int(number)].layout }
    }
    return plan.sources.first?.layout
  }

  private func turnSample(
    _ chunks: inout RecordChunks, _ lane: Int, _ offset: Int, _ size: Int, _ layout: SampleLayout
  ) {
    var end = Int(layout.fixedEnd)
    for word in stride(from: 8, to: min(end, size - 7), by: 8) {
      // TID and CPU are two numbers of 32 bits each.
      let isPair = word == Int(layout.tid) || word == Int(layout.cpu)
      chunks.reverseBytes(
        lane, at: offset + word, width: isPair ? 4 : 8, count: isPair ? 2 : 1)
    }
    if layout.hasRead || layout.hasCallchain {
      var found: Int?
      if let record = chunks.newest(lane).slice(at: offset, count: size) {
        found = layout.variableEnd(record, end, isSwapped: true)
      }
      guard let found, found <= size else { return }
      chunks.reverseBytes(lane, at: offset + end, width: 8, count: (found - end) / 8)
      end = found
    }
    var stack: BranchStack?
    if layout.hasBranchStack, let record = chunks.newest(lane).slice(at: offset, count: size) {
      stack = layout.branchStack(record, isSwapped: true, from: end)
    }
    if layout.hasRaw, end <= size - 4 { chunks.reverseBytes(lane, at: offset + end, width: 4) }
    if let stack {
      chunks.reverseBytes(
        lane, at: offset + stack.start, width: 8, count: (stack.end - stack.start) / 8)
    }
  }

  /// The sample id at the end of a record that is no sample.
  private func turnSampleID(
    _ chunks: inout RecordChunks, _ lane: Int, _ start: Int, _ end: Int, _ layout: SampleLayout
  ) {
    for distance in stride(from: 8, through: Int(layout.trailingSize), by: 8)
    where end - distance >= start {
      let isPair =
        distance == Int(layout.trailingTID) || distance == Int(layout.trailingCPU)
      chunks.reverseBytes(
        lane, at: end - distance, width: isPair ? 4 : 8, count: isPair ? 2 : 1)
    }
  }
}
