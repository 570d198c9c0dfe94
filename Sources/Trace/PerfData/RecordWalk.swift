import Bytes

/// Why a walk ended before the data did.
struct WalkStop {
  /// In the input, in bytes.
  var offset: UInt64
  /// Index of the record, from 0.
  var record: Int
  var reason: String
  /// Bytes that are not used.
  var rest: UInt64 = 0
  /// What is there is no work of a recorder; not merely cut off.
  var isDamage = false
}

/// Walks the records of a part of a mapped file, compressed ones included, and hands them to a pass.
/// It can stop at any record and go on later.
struct RecordWalk {
  /// In the file, in bytes: the next record, and the end of the part.
  private(set) var offset: Int
  let end: Int
  private(set) var stop: WalkStop?
  private var record = 0
  /// Of the decompressed records, once there are some.
  private var lane: Int?

  init(_ part: Range<Int>) {
    offset = part.lowerBound
    end = part.upperBound
  }

  /// Takes the records that begin before `limit`.
  mutating func advance(
    to limit: Int, _ file: RawSpan, _ chunks: inout RecordChunks, _ pass: inout ReadPass,
    _ body: ReadPass.Body
  ) {
    var offset = self.offset
    let limit = min(limit, end)
    defer { self.offset = offset }
    while offset < limit, stop == nil {
      guard let type = file.u32(at: offset), let misc = file.u16(at: offset + 4),
        let length = file.u16(at: offset + 6)
      else { return fail(offset, "a record is cut off") }
      let size = Int(length)
      guard size >= RecordHeader.byteCount else {
        return fail(offset, "a record says it has \(size) bytes")
      }
      guard size <= end - offset, let bytes = file.slice(at: offset, count: size) else {
        return fail(offset, "a record is cut off")
      }
      var following = 0
      switch type {
      // What is longer is a record of another kind.
      case RecordKind.finishedRound where size == RecordHeader.byteCount:
        pass.finishRound(file, chunks, body)
        chunks.release(before: pass.oldestChunk)
      case RecordKind.compressed, RecordKind.compressed2:
        let (start, count) = CompressedRecord.content(bytes, type, isSwapped: false)
        guard let content = bytes.slice(at: start, count: count) else { break }
        if let reason = inflate(content, file, &chunks, &pass, body) {
          return fail(offset, reason, isDamage: true)
        }
      case RecordKind.tracingData:
        pass.noteHidden(bytes)
        let payload = Int(bytes.u32(at: 8) ?? 0)
        following = (payload + 7) & ~7
      case RecordKind.auxTrace:
        pass.noteHidden(bytes)
        following = Int(exactly: bytes.u64(at: 8) ?? 0) ?? Int.max
      default:
        pass.take(bytes, type: type, misc: misc, offset: offset, chunk: 0)
      }
      guard following <= end - offset - size else {
        return fail(offset, "the bytes that follow a record are cut off")
      }
      offset += size + following
      record += 1
    }
    if offset >= end, stop == nil, let lane, chunks.unparsedCount(lane) > 0 {
      fail(end, "the last \(chunks.unparsedCount(lane)) decompressed bytes are no whole record")
    }
  }

  private mutating func fail(_ offset: Int, _ reason: String, isDamage: Bool = false) {
    stop = WalkStop(
      offset: UInt64(offset), record: record, reason: reason, rest: UInt64(end - offset),
      isDamage: isDamage)
  }

  /// Decompresses one body and takes the whole records that come out; a reason when they are corrupt.
  private mutating func inflate(
    _ content: RawSpan, _ file: RawSpan, _ chunks: inout RecordChunks, _ pass: inout ReadPass,
    _ body: ReadPass.Body
  ) -> String? {
    do throws(ZstdStream.Failure) {
      let lane: Int
      if let known = self.lane { lane = known } else { lane = try chunks.addZstdLane() }
      self.lane = lane
      var position = 0
      while try chunks.inflate(lane, content, from: &position) {
        if let reason = CompressedRecord.take(lane, file, &chunks, &pass, body) { return reason }
      }
      return nil
    } catch {
      return "zstd cannot decompress: \(error.reason)"
    }
  }
}
