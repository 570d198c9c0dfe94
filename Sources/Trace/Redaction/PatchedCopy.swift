import Bytes

/// A copy in the making: bytes of the original in order, some of them replaced.
///
/// Without a sink it only counts: where parts change their size, a first pass tells how much, and headers
/// that come before them can say so.
final class PatchedCopy {
  private let sink: ByteSink?
  private let masking: KeyMasking
  /// The first byte of the original that is not copied yet.
  private var position: Int
  /// Bytes written.
  private(set) var count = 0
  /// Key values written in another form than they had; zero and reset values do not count.
  private(set) var replaced: UInt64 = 0

  /// - Parameter start: where the original begins in the bytes that are given.
  init(_ sink: ByteSink?, _ masking: KeyMasking, from start: Int = 0) {
    self.sink = sink
    position = start
    self.masking = masking
  }

  private func write(_ bytes: [UInt8]) throws(Redaction.Failure) {
    do throws(ByteSinkError) { try sink?.write(bytes) } catch { throw .output(error) }
    count += bytes.count
  }

  /// Copies the original up to `end`.
  func copy(_ original: RawSpan, upTo end: Int) throws(Redaction.Failure) {
    while position < end {
      guard let piece = original.slice(at: position, count: min(end - position, 1 << 20)) else {
        return
      }
      try write(piece.copied())
      position += piece.byteCount
    }
  }

  /// Copies up to `offset`, and in place of `length` bytes there writes `bytes`.
  func replace(
    _ original: RawSpan, at offset: Int, length: Int, with bytes: [UInt8]
  ) throws(Redaction.Failure) {
    try copy(original, upTo: offset)
    try write(bytes)
    position = max(position, offset + length)
  }

  /// Copies up to the number at `offset` and writes another in its place.
  func replace(
    _ original: RawSpan, at offset: Int, with number: UInt64
  ) throws(Redaction.Failure) {
    try replace(original, at: offset, length: 8, with: Self.bytes(number))
  }

  /// Copies up to the key at `offset` and writes another in its place.
  func mask(_ original: RawSpan, at offset: Int) throws(Redaction.Failure) {
    guard let value = original.u64(at: offset) else { return }
    try replace(original, at: offset, with: masked(value))
  }

  /// Masks a key in a part that will be written later.
  func mask(_ part: inout [UInt8], at offset: Int) {
    guard let value = part.rawBytes.u64(at: offset) else { return }
    part.replaceSubrange(offset..<(offset + 8), with: Self.bytes(masked(value)))
  }

  func masked(_ value: UInt64) -> UInt64 {
    if !KeyMasking.isKept(value) { replaced += 1 }
    return masking.masked(value)
  }

  func finish() throws(Redaction.Failure) {
    do throws(ByteSinkError) { try sink?.finish() } catch { throw .output(error) }
  }

  static func bytes(_ number: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * UInt64($0))) }
  }
}
