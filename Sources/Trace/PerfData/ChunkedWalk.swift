import Bytes

/// Walks the records of a chunked input: of a stream, or of a byte-swapped file.
struct ChunkedWalk {
  /// nil: the records have the byte order of this machine.
  private let swap: RecordSwap?
  private var record = 0
  /// Where the last record lay.
  private var chunk: UInt32 = 0
  /// Of the decompressed records, once there are some.
  private var lane: Int?
  /// What was decompressed is no work of a recorder.
  private var isDamaged = false

  init(_ plan: SamplePlan) { swap = plan.isSwapped ? RecordSwap(plan) : nil }

  /// All records in turn; nil when the end was reached. `file`: what the input is copied from.
  mutating func run(
    _ file: RawSpan, _ input: inout ChunkedInput, _ pass: inout ReadPass, _ body: ReadPass.Body
  ) -> WalkStop? {
    var stop: WalkStop?
    while stop == nil, input.need(1, file) {
      let start = input.offset
      guard let reason = step(file, &input, &pass, body) else { continue }
      if input.isStopped {
        // What is left is the beginning of a record.
        _ = input.pass(.max, file, oldest: pass.oldestChunk) { _ in }
        break
      }
      stop = WalkStop(offset: start, record: record, reason: reason)
      _ = input.pass(.max, file, oldest: pass.oldestChunk) { _ in }
      stop?.rest = input.offset - start
      stop?.isDamage = isDamaged
    }
    if stop == nil, let lane, input.chunks.unparsedCount(lane) > 0 {
      let count = input.chunks.unparsedCount(lane)
      stop = WalkStop(
        offset: input.offset, record: record,
        reason: "the last \(count) decompressed bytes are no whole record")
    }
    if input.failure != 0 {
      stop = WalkStop(
        offset: input.offset, record: record,
        reason: "reading failed: \(SystemMessage.text(input.failure))")
    }
    pass.finish(RawSpan(), input.chunks, body)
    return stop
  }

  /// One record; a reason when it cannot be read.
  private mutating func step(
    _ file: RawSpan, _ input: inout ChunkedInput, _ pass: inout ReadPass, _ body: ReadPass.Body
  ) -> String? {
    let isSwapped = swap != nil
    guard input.need(RecordHeader.byteCount, file),
      let type = input.unparsed.u32(at: 0, swapped: isSwapped),
      let misc = input.unparsed.u16(at: 4, swapped: isSwapped),
      let length = input.unparsed.u16(at: 6, swapped: isSwapped)
    else { return "a record is cut off" }
    let size = Int(length)
    guard size >= RecordHeader.byteCount else { return "a record says it has \(size) bytes" }
    guard input.need(size, file) else { return "a record is cut off" }
    let place = input.place
    var following: UInt64 = 0
    switch type {
    case RecordKind.finishedRound where size == RecordHeader.byteCount:
      pass.finishRound(RawSpan(), input.chunks, body)
    case RecordKind.compressed, RecordKind.compressed2:
      let content = CompressedRecord.content(
        input.unparsed.extracting(first: size), type, isSwapped: isSwapped)
      if let reason = inflate(place.offset + content.start, content.count, &input, &pass, body) {
        isDamaged = true
        return reason
      }
    case RecordKind.tracingData:
      if !isSwapped { pass.noteHidden(input.unparsed.extracting(first: size)) }
      following = (UInt64(input.unparsed.u32(at: 8, swapped: isSwapped) ?? 0) + 7) & ~7
    case RecordKind.auxTrace:
      if !isSwapped { pass.noteHidden(input.unparsed.extracting(first: size)) }
      following = input.unparsed.u64(at: 8, swapped: isSwapped) ?? 0
    default:
      swap?.turn(&input.chunks, input.lane, at: place.offset, type: type, size: size)
      pass.take(
        input.unparsed.extracting(first: size), type: type, misc: misc, offset: place.offset,
        chunk: place.chunk)
    }
    input.consume(size)
    if place.chunk != chunk || type == RecordKind.finishedRound {
      input.chunks.release(before: pass.oldestChunk)
      chunk = place.chunk
    }
    guard input.pass(following, file, oldest: pass.oldestChunk, to: { _ in }) else {
      return "the bytes that follow a record are cut off"
    }
    record += 1
    return nil
  }

  private mutating func inflate(
    _ start: Int, _ count: Int, _ input: inout ChunkedInput, _ pass: inout ReadPass,
    _ body: ReadPass.Body
  ) -> String? {
    do throws(ZstdStream.Failure) {
      let lane: Int
      if let known = self.lane { lane = known } else { lane = try input.chunks.addZstdLane() }
      self.lane = lane
      var position = 0
      while try input.chunks.inflate(
        lane, from: input.lane, at: start, count: count, position: &position)
      {
        let reason =
          if let swap {
            CompressedRecord.takeSwapped(lane, swap, &input.chunks, &pass, body)
          } else {
            CompressedRecord.take(lane, RawSpan(), &input.chunks, &pass, body)
          }
        if let reason { return reason }
      }
      return nil
    } catch {
      return "zstd cannot decompress: \(error.reason)"
    }
  }
}
