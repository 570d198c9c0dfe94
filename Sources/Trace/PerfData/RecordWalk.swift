import Bytes

/// Walks the records of the data section, compressed ones included, and hands them to a pass.
struct RecordWalk {
  /// Why the walk ended before the data did.
  struct Stop {
    /// In the file, in bytes.
    var offset: UInt64
    /// Index of the record, from 0.
    var record: Int
    var reason: String
  }

  /// In the file, in bytes.
  var start: Int
  var end: Int

  /// All records in turn; nil when the end was reached.
  func run(
    _ file: RawSpan, _ pass: inout ReadPass, _ body: ReadPass.Body
  ) -> Stop? {
    var offset = start
    var record = 0
    var stop: Stop?
    do throws(ZstdStream.Failure) {
      var chunks = try InflatedChunks()
      while offset < end {
        guard let type = file.u32(at: offset), let misc = file.u16(at: offset + 4),
          let length = file.u16(at: offset + 6)
        else {
          stop = Stop(offset: UInt64(offset), record: record, reason: "a record is cut off")
          break
        }
        let size = Int(length)
        guard size >= RecordHeader.byteCount else {
          stop = Stop(
            offset: UInt64(offset), record: record, reason: "a record says it has \(size) bytes")
          break
        }
        guard size <= end - offset, let bytes = file.slice(at: offset, count: size) else {
          stop = Stop(offset: UInt64(offset), record: record, reason: "a record is cut off")
          break
        }
        var following = 0
        switch type {
        case RecordKind.finishedRound:
          pass.flush(file, chunks, isEnd: false, body)
          chunks.release(before: pass.oldestChunk)
        case RecordKind.compressed, RecordKind.compressed2:
          let content = Self.content(bytes, type)
          do throws(ZstdStream.Failure) {
            if let reason = try inflate(content, file, &chunks, &pass, body) {
              stop = Stop(offset: UInt64(offset), record: record, reason: reason)
            }
          } catch {
            stop = Stop(
              offset: UInt64(offset), record: record,
              reason: "zstd cannot decompress: \(error.reason)")
          }
        case RecordKind.tracingData:
          let payload = Int(bytes.u32(at: 8) ?? 0)
          following = (payload + 7) & ~7
        case RecordKind.auxTrace:
          following = Int(exactly: bytes.u64(at: 8) ?? 0) ?? Int.max
        default:
          pass.take(bytes, type: type, misc: misc, offset: offset, chunk: 0)
        }
        if stop != nil { break }
        guard following <= end - offset - size else {
          stop = Stop(
            offset: UInt64(offset), record: record,
            reason: "the bytes that follow a record are cut off")
          break
        }
        offset += size + following
        record += 1
      }
      if stop == nil, chunks.unparsedCount > 0 {
        stop = Stop(
          offset: UInt64(end), record: record,
          reason: "the last \(chunks.unparsedCount) decompressed bytes are no whole record")
      }
      pass.flush(file, chunks, isEnd: true, body)
    } catch {
      return Stop(offset: UInt64(offset), record: record, reason: "zstd: \(error.reason)")
    }
    return stop
  }

  /// The zstd bytes of a COMPRESSED record: its whole body, or in COMPRESSED2 as many as its u64
  /// data_size says.
  @_lifetime(copy record)
  private static func content(_ record: RawSpan, _ type: UInt32) -> RawSpan {
    var count = UInt64(record.byteCount - RecordHeader.byteCount)
    var start: UInt64 = 8
    if type == RecordKind.compressed2 {
      start = 16
      count = Swift.min(record.u64(at: 8) ?? 0, UInt64(Swift.max(0, record.byteCount - 16)))
    }
    guard let body = record.slice(at: start, count: count) else { return RawSpan() }
    return body
  }

  /// Decompresses one body and takes the whole records that come out; a reason when they are corrupt.
  private func inflate(
    _ content: RawSpan, _ file: RawSpan, _ chunks: inout InflatedChunks, _ pass: inout ReadPass,
    _ body: ReadPass.Body
  ) throws(ZstdStream.Failure) -> String? {
    var position = 0
    while try chunks.inflate(content, from: &position) {
      let number = chunks.newestNumber
      var offset = chunks.parsedCount
      do {
        let bytes = chunks.newest
        while let type = bytes.u32(at: offset), let misc = bytes.u16(at: offset + 4),
          let size = bytes.u16(at: offset + 6)
        {
          guard size >= RecordHeader.byteCount else {
            return "a compressed record says it has \(size) bytes"
          }
          guard let record = bytes.slice(at: offset, count: Int(size)) else { break }
          if type == RecordKind.finishedRound {
            pass.flush(file, chunks, isEnd: false, body)
          } else {
            pass.take(record, type: type, misc: misc, offset: offset, chunk: number)
          }
          offset += Int(size)
        }
      }
      chunks.didParse(upTo: offset)
      chunks.release(before: pass.oldestChunk)
    }
    return nil
  }
}
