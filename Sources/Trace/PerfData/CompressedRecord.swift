import Bytes

/// COMPRESSED and COMPRESSED2 records, and the records that come out of them.
enum CompressedRecord {
  /// Where the zstd bytes lie: the whole body, or in COMPRESSED2 as many as its u64 data_size says.
  static func content(
    _ record: RawSpan, _ type: UInt32, isSwapped: Bool
  ) -> (start: Int, count: Int) {
    guard type == RecordKind.compressed2 else { return (8, record.byteCount - 8) }
    let room = max(0, record.byteCount - 16)
    let said = record.u64(at: 8, swapped: isSwapped) ?? 0
    return (16, said < UInt64(room) ? Int(said) : room)
  }

  /// Takes the whole records that `lane` has; a reason when they are corrupt.
  static func take(
    _ lane: Int, _ file: RawSpan, _ chunks: inout RecordChunks, _ pass: inout ReadPass,
    _ body: ReadPass.Body
  ) -> String? {
    let number = chunks.number(lane)
    var offset = chunks.parsedCount(lane)
    do {
      let bytes = chunks.newest(lane)
      while let type = bytes.u32(at: offset), let misc = bytes.u16(at: offset + 4),
        let size = bytes.u16(at: offset + 6)
      {
        guard size >= RecordHeader.byteCount else {
          return "a compressed record says it has \(size) bytes"
        }
        guard let record = bytes.slice(at: offset, count: Int(size)) else { break }
        if type == RecordKind.finishedRound, Int(size) == RecordHeader.byteCount {
          pass.finishRound(file, chunks, body)
        } else {
          pass.take(record, type: type, misc: misc, offset: offset, chunk: number)
        }
        offset += Int(size)
      }
    }
    chunks.didParse(lane, upTo: offset)
    chunks.release(before: pass.oldestChunk)
    return nil
  }

  /// The same for records of the other byte order.
  static func takeSwapped(
    _ lane: Int, _ swap: RecordSwap, _ chunks: inout RecordChunks, _ pass: inout ReadPass,
    _ body: ReadPass.Body
  ) -> String? {
    let number = chunks.number(lane)
    var offset = chunks.parsedCount(lane)
    while let type = chunks.newest(lane).u32(at: offset, swapped: true),
      let misc = chunks.newest(lane).u16(at: offset + 4, swapped: true),
      let size = chunks.newest(lane).u16(at: offset + 6, swapped: true)
    {
      guard size >= RecordHeader.byteCount else {
        return "a compressed record says it has \(size) bytes"
      }
      guard chunks.newest(lane).slice(at: offset, count: Int(size)) != nil else { break }
      if type == RecordKind.finishedRound, Int(size) == RecordHeader.byteCount {
        pass.finishRound(RawSpan(), chunks, body)
      } else {
        swap.turn(&chunks, lane, at: offset, type: type, size: Int(size))
        if let record = chunks.newest(lane).slice(at: offset, count: Int(size)) {
          pass.take(record, type: type, misc: misc, offset: offset, chunk: number)
        }
      }
      offset += Int(size)
    }
    chunks.didParse(lane, upTo: offset)
    chunks.release(before: pass.oldestChunk)
    return nil
  }
}
